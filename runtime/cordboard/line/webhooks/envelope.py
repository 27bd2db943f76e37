"""Bodies of the five webhooks (seed "observability", Webhooks; reference cartesia-protocols §4.7).

`call` is the object of `GET /agents/calls/{call_id}`. The deprecated `body` and top-level `end_reason` stand on
call_completed and call_failed, as documented. Leaves out `request_id` of the envelope of 2025.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

MAX_QUOTE: Final = 160
"""Characters of a turn that a summary quotes: it has one or two sentences, whatever was said."""


def call_started(call: Mapping[str, Any], webhook_id: str, at: str) -> dict[str, Any]:
    """A call's session began; what has no value yet (`end_time`, `end_reason`, an empty transcript) is left out."""
    known = {name: value for name, value in call.items() if value is not None and value != []}
    return {**_common("call_started", call["id"], call["agent_id"], webhook_id, at), "call": known}


def call_ended(call: Mapping[str, Any], webhook_id: str, at: str) -> dict[str, Any]:
    """A call's end: call_failed where its `status` is `failed`, else call_completed."""
    type_ = "call_failed" if call.get("status") == "failed" else "call_completed"
    deprecated = {"end_reason": call.get("end_reason"), "body": list(call.get("transcript") or ())}
    common = _common(type_, call["id"], call["agent_id"], webhook_id, at)
    return {**common, **deprecated, "call": dict(call)}


def call_turn(call_id: str, agent_id: str, turn: Mapping[str, Any], webhook_id: str, at: str) -> dict[str, Any]:
    """One utterance of the caller or the agent: `role`, `text`, `start_timestamp`, `end_timestamp` (seconds from the
    call's start), `tts_ttfb` and `tool_calls` where there are any."""
    return {**_common("call_turn", call_id, agent_id, webhook_id, at), "turn": dict(turn)}


def post_call_analysis(call_id: str, agent_id: str, summary: str, webhook_id: str, at: str) -> dict[str, Any]:
    """The summary of a call that is over."""
    return {**_common("post_call_analysis", call_id, agent_id, webhook_id, at), "analysis": {"summary": summary}}


def summary_of(transcript: Iterable[Mapping[str, Any]]) -> str:
    """A call's summary, made by a rule that it names: the caller's first words and the agent's last."""
    turns = list(transcript)
    asked = next((_quote(turn) for turn in turns if turn.get("role") == "user" and turn.get("text")), "")
    said = next((_quote(turn) for turn in reversed(turns) if turn.get("role") == "assistant" and turn.get("text")), "")
    caller = f"The caller began with “{asked}”" if asked else "The caller said nothing"
    agent = f"the agent's last words were “{said}”" if said else "the agent said nothing"
    return f"{caller}; {agent}. (Made by a rule from the first and the last turn, not by a model.)"


def rfc3339(nanoseconds: int) -> str:
    """Wall clock since 1970 as the service writes it: `2026-04-16T01:08:50.061907836Z`."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def _common(type_: str, call_id: str, agent_id: str, webhook_id: str, at: str) -> dict[str, Any]:
    return {"type": type_, "call_id": call_id, "agent_id": agent_id, "webhook_id": webhook_id, "timestamp": at}


def _quote(turn: Mapping[str, Any]) -> str:
    text = " ".join(str(turn["text"]).split())
    return text if len(text) <= MAX_QUOTE else f"{text[: MAX_QUOTE - 1]}…"
