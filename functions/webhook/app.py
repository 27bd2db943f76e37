"""What Cartesia tells of its calls: ends and summaries. Runs outside of any call, after the caller has hung up."""

import logging

from cordboard.scenario import CartesiaWebhooks, webhook_events

webhooks = CartesiaWebhooks()
log = logging.getLogger("webhook")
log.setLevel(logging.INFO)


@webhooks.on("call_completed")
async def completed(event: webhook_events.CallCompleted) -> None:
    log.info("call %s ended: %s, %d turns", event.call_id, event.call.end_reason, len(event.call.transcript))


@webhooks.on("call_failed")
async def failed(event: webhook_events.CallFailed) -> None:
    log.error("call %s failed: %s", event.call_id, event.call.error_message)


@webhooks.on("post_call_analysis")
async def analysed(event: webhook_events.PostCallAnalysis) -> None:
    log.info("call %s has a summary of %d characters", event.call_id, len(event.analysis.summary))  # your CRM here


handler = webhooks.lambda_handler()
