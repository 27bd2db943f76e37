"""What tools, requests and webhooks must be answered with, beyond the form of the record (HANDLERS §1.1)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cordboard.contract.codec import DecodeError, decode
from cordboard.contract.commands import Command
from cordboard.contract.records import Answer
from cordboard.contract.webhooks import WebhookAnswer
from cordboard.storage.interface import SecretNotFound

from .judge import Violation
from .samples import TOOL_CALL, ToolCall

_ADVICE = "answer each call once, and what is wrong with its arguments as an error that the agent can read"


def check_reply(answer: Answer) -> None:
    """Raises DecodeError for a reply that says it is JSON, and is not."""
    if answer.reply is None:
        return
    named = {name.lower() for name in answer.reply.headers}
    body = answer.reply.content()
    if body and "content-type" not in named:
        try:
            json.loads(body)
        except ValueError as error:
            raise DecodeError("reply.body", f"is no JSON: {error}") from None


def status_of(answer: Answer) -> str:
    """What the sender is told."""
    if answer.error is not None:
        return "400" if answer.error.type == "bad_request" else "500"
    return "204" if answer.reply is None else str(answer.reply.status)


def decode_webhook(raw: Mapping[str, Any]) -> WebhookAnswer:
    """Raises Violation."""
    try:
        return decode(WebhookAnswer, raw)
    except DecodeError as error:
        advice = "answer what schemas/webhook_answer.json describes, and nothing else"
        raise Violation("webhooks", str(error), advice) from None


def check_tool_answer(call: ToolCall, answers: Sequence[Answer]) -> None:
    """Raises Violation. A tool that raises at arguments that fit is its own matter."""
    last = answers[-1]
    if last.error is not None:
        if call.good:
            return
        raise _violation(f"expected bad arguments to be answered; it raised {last.error.type}: {last.error.message}")
    commands = [command for answer in answers for command in answer.commands]
    match call.sample.type:
        case "agent.tool_call":
            args = _one(commands, "agent.tool_result").args
            _expect("id", args.get("id"), TOOL_CALL)
            wrong = args.get("is_error") is True
        case "agent.custom":
            metadata = _one(commands, "agent.custom").args.get("metadata", {})
            _expect("metadata.tool", metadata.get("tool"), call.tool)
            _expect("metadata.id", metadata.get("id"), TOOL_CALL)
            wrong = "error" in metadata
        case _:
            wrong = _is_refusal(last)
    if not call.good and not wrong:
        raise _violation("expected an error for arguments that do not fit the tool's schema; a result came")


def missing_of(answer: Answer) -> Iterator[tuple[str, str]]:
    """(`key` or `secret`, its name) of what the handler asked for in this round and did not get."""
    for read in answer.journal:
        if read.type == "storage.get" and read.status == "done" and read.result is None:
            yield "key", read.target or ""
        elif read.type == "secret.reveal" and read.error is not None and read.error.code == SecretNotFound.__name__:
            yield "secret", read.target or ""


def _one(commands: Sequence[Command], type_: str) -> Command:
    found = [command for command in commands if command.type == type_]
    if len(found) != 1:
        raise _violation(f"expected one {type_}; {len(found)} came")
    return found[0]


def _expect(name: str, got: Any, want: str) -> None:
    if got != want:
        raise _violation(f"{name}: expected {want!r}; {got!r} came")


def _is_refusal(answer: Answer) -> bool:
    if answer.reply is None:
        raise _violation("expected a reply with the result; none came")
    try:
        body = json.loads(answer.reply.content())
    except ValueError:
        raise _violation("expected a reply of JSON; something else came") from None
    return 400 <= answer.reply.status <= 499 and isinstance(body, Mapping) and "error" in body


def _violation(detail: str) -> Violation:
    return Violation("tools", detail, _ADVICE)
