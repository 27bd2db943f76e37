"""A program that polls the Runtime API with the standard library alone, and may break the contract in one way.

`python -I -S program.py BEHAVIOUR`; `good` breaks nothing. It knows nothing of the package under test.
"""

import hashlib
import http.client
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

JSON = dict[str, Any]
BEHAVIOUR = sys.argv[1]
PREFIX = "/2018-06-01/runtime/"
DESCRIPTION: JSON = {
    "schema": "cordboard.description/1",
    "scenario": "plain",
    "events": [
        {"type": "call.alerting"},
        {"type": "http.request"},
        {"type": "agent.tool_call", "target": "find", "tool": True},
    ],
    "tools": [
        {
            "name": "find",
            "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]},
        }
    ],
    "webhooks": [{"type": "call_completed"}],
}
memory: JSON = {"count": 0, "seq": 0, "session": None}


def command(id_: str, type_: str, target: str | None, args: JSON) -> JSON:
    """A command with its hash; canonical JSON is what `json` makes."""
    text = json.dumps([type_, target, args], sort_keys=True, separators=(",", ":"))
    hash_ = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"id": id_, "type": type_, "target": target, "args": args, "hash": hash_}


def alerting(event: JSON, journal: list[JSON], mark: str) -> JSON:
    """Answer and await it; then a timer, whose name is the mark."""
    seq = event["seq"]
    answered = command(f"{seq}.0", "call.answer", "caller", {"headers": {"X-Mark": mark}})
    if not journal:
        return {"status": "suspended", "waiting": [f"{seq}.0"], "commands": [answered]}
    return {"status": "done", "commands": [command(f"{seq}.1", "timer.set", "ring", {"seconds": 2.5})]}


def tool(event: JSON) -> JSON:
    """The result of `find`, or what is wrong with its arguments."""
    data = event["data"]["data"]
    good = isinstance(data["parameters"].get("day"), str)
    args = {"id": data["id"], "result": '["19:30"]' if good else "day: a text", "is_error": not good}
    return {"status": "done", "commands": [command(f"{event['seq']}.0", "agent.tool_result", "agent", args)]}


def answer(invocation: JSON) -> JSON:
    """As the contract asks."""
    if invocation["schema"] == "cordboard.describe/1":
        return DESCRIPTION
    if invocation["schema"] == "cordboard.webhook/1":
        return {"schema": "cordboard.webhook_answer/1", "status": "done"}
    event = invocation["event"]
    head = {"event_id": event["id"], "round": invocation["round"], "attempt": invocation["attempt"]}
    match event["type"]:
        case "call.alerting":
            return head | alerting(event, invocation["journal"], "plain")
        case "http.request":
            state = {"base_version": invocation["state"]["version"], "data": {"asked": True}}
            return head | {"status": "done", "reply": {"status": 200, "body": '{"ok":true}'}, "state": state}
        case "agent.tool_call":
            return head | tool(event)
        case other:
            return head | {"status": "failed", "error": {"type": "not_found", "message": f"no handler of {other}"}}


def broken(invocation: JSON, said: JSON) -> Any:
    """What BEHAVIOUR makes of a good answer."""
    if invocation["schema"] == "cordboard.describe/1":
        return DESCRIPTIONS.get(BEHAVIOUR, lambda: said)()
    if invocation["schema"] == "cordboard.webhook/1":
        return {"ok": True} if BEHAVIOUR == "webhook_answer" else said
    memory["count"] += 1
    type_ = invocation["event"]["type"]
    found = {"call.alerting": ALERTING, "http.request": REQUESTS, "agent.tool_call": TOOLS}.get(type_, STRANGE)
    return found[BEHAVIOUR](invocation, said) if BEHAVIOUR in found else said


def first(said: JSON, **fields: Any) -> JSON:
    """The answer with fields of its first command replaced."""
    return said | {"commands": [said["commands"][0] | fields, *said["commands"][1:]]}


def marked(invocation: JSON, mark: str) -> JSON:
    """The answer whose first command carries a mark."""
    event = invocation["event"]
    head = {"event_id": event["id"], "round": invocation["round"], "attempt": invocation["attempt"]}
    return head | alerting(event, invocation["journal"], mark)


def again(invocation: JSON, said: JSON) -> JSON:
    """All commands in every round."""
    return answer(invocation | {"journal": []}) | {"round": invocation["round"]} if invocation["round"] else said


def seq(invocation: JSON, said: JSON) -> JSON:
    """Takes no event that is older than the newest."""
    memory["seq"], newest = max(memory["seq"], invocation["event"]["seq"]), memory["seq"]
    return said if invocation["event"]["seq"] >= newest else said | {"status": "done", "commands": [], "waiting": []}


def session(invocation: JSON, said: JSON) -> JSON:
    """Ends the event of the session that came last."""
    own = invocation["session"]["id"]
    if not invocation["round"]:
        memory["session"] = own
        return said
    other = (memory["session"] or own) != own
    return said | {"commands": [command("7.1", "timer.set", "other", {"seconds": 1})]} if other else said


def endless(invocation: JSON, said: JSON) -> JSON:
    """Awaits one command after the other."""
    id_ = f"{invocation['event']['seq']}.{invocation['round']}"
    return said | {"status": "suspended", "waiting": [id_], "commands": [command(id_, "call.ring", "caller", {})]}


def strict(invocation: JSON, said: JSON) -> JSON:
    """Fails at fields that it does not know."""
    refused = {"status": "failed", "error": {"type": "Strict", "message": "from_tomorrow"}, "commands": []}
    return said | refused | {"waiting": []} if "from_tomorrow" in invocation["event"] else said


def lock(invocation: JSON, said: JSON) -> JSON:
    """Holds a file while it works, and does not know whose it is when it finds one."""
    path = os.environ["CORDBOARD_STORAGE"].removeprefix("sqlite:") + ".lock"
    if os.path.exists(path):
        return said | {"status": "done", "commands": [], "waiting": []}
    with open(path, "w"):
        time.sleep(0.2)
    os.remove(path)
    return said


def hang(invocation: JSON, said: JSON) -> JSON:
    time.sleep(60)
    return said


def no_handler(invocation: JSON, said: JSON) -> JSON:
    head = {name: said[name] for name in ("event_id", "round", "attempt")}
    return head | {"status": "failed", "error": {"type": "not_found", "message": "no handler"}}


Bad = Callable[[JSON, JSON], Any]
ALERTING: dict[str, Bad] = {
    "attempt": lambda invocation, said: said | {"attempt": 1},
    "event_id": lambda invocation, said: said | {"event_id": "s_other:7"},
    "more_fields": lambda invocation, said: said | {"speech": "hello"},
    "hash": lambda invocation, said: first(said, hash="0" * 16),
    "id_gap": lambda invocation, said: first(said, id="7.5") | {"waiting": ["7.5"]},
    "id_twice": lambda invocation, said: said | {"commands": said["commands"] * 2},
    "id_order": lambda invocation, said: said | {
        "commands": [command("7.1", "call.ring", "caller", {}), command("7.0", "call.answer", "caller", {})],
    },
    "unknown_command": lambda invocation, said: said | {"commands": [command("7.0", "call.teleport", "caller", {})]},
    "arguments": lambda invocation, said: said | {"commands": [command("7.0", "call.reject", "caller", {"code": 99})]},
    "no_target": lambda invocation, said: said | {"commands": [command("7.0", "call.answer", None, {})]},
    "no_handler": no_handler,
    "text": lambda invocation, said: b"hello",
    "reports": lambda invocation, said: ValueError("out of tables"),
    "exits": lambda invocation, said: os._exit(5),
    "hangs": hang,
    "large": lambda invocation, said: said | {"logs": [{"level": "INFO", "message": "x" * 70_000}]},
    "huge": lambda invocation, said: said | {"logs": [{"level": "INFO", "message": "x" * 7_000_000}]},
    "early_state": lambda invocation, said: said | {"state": {"base_version": 0, "data": {}}},
    "re_emits": again,
    "differs": lambda invocation, said: first(marked(invocation | {"journal": []}, str(invocation["round"]))) | {
        "round": invocation["round"]
    },
    "says_it_differs": lambda invocation, said: said if not invocation["round"] else said | {
        "status": "failed", "commands": [], "error": {"type": "nondeterminism", "message": "step 7.0 was another"},
    },
    "waits_again": lambda invocation, said: said if not invocation["round"] else said | {
        "status": "suspended", "waiting": ["7.0"], "commands": [],
    },
    "endless": endless,
    "counts": lambda invocation, said: said if invocation["round"] else marked(invocation, str(memory["count"])),
    "process": lambda invocation, said: said if invocation["round"] else marked(invocation, str(os.getpid())),
    "seq": seq,
    "session": session,
    "lock": lock,
    "one_attempt": lambda invocation, said: said if invocation["attempt"] == 1 else marked(invocation, "again"),
    "strict": strict,
}  # fmt: skip
REQUESTS: dict[str, Bad] = {
    "hangs": hang,
    "big_state": lambda invocation, said: said | {"state": {"base_version": 0, "data": {"x": "x" * 30_000}}},
    "state_version": lambda invocation, said: said | {"state": {"base_version": 0, "data": {}}},
    "reply_text": lambda invocation, said: said | {"reply": {"status": 200, "body": "fine"}},
    "reply_header": lambda invocation, said: said | {"reply": {"headers": {"X-A": "b\r\nc: d"}}},
    "reply_status": lambda invocation, said: said | {"reply": {"status": 99}},
}
TOOLS: dict[str, Bad] = {
    "tool_twice": lambda invocation, said: said | {
        "commands": [*said["commands"], command("7.1", "agent.tool_result", "agent", said["commands"][0]["args"])],
    },
    "tool_silent": lambda invocation, said: said | {"commands": []},
    "tool_id": lambda invocation, said: said | {
        "commands": [command("7.0", "agent.tool_result", "agent", said["commands"][0]["args"] | {"id": "other"})],
    },
    "tool_trusting": lambda invocation, said: said | {
        "commands": [command("7.0", "agent.tool_result", "agent", said["commands"][0]["args"] | {"is_error": False})],
    },
    "tool_raises": lambda invocation, said: said if not said["commands"][0]["args"]["is_error"] else said | {
        "status": "failed", "commands": [], "error": {"type": "KeyError", "message": "day"},
    },
}  # fmt: skip
STRANGE: dict[str, Bad] = {
    "takes_all": lambda invocation, said: said | {
        "status": "done", "commands": [command("7.0", "call.hangup", "caller", {})], "error": None,
    },
    "dies_of_new": lambda invocation, said: os._exit(6),
}  # fmt: skip
DESCRIPTIONS: dict[str, Callable[[], Any]] = {
    "describes_nothing": lambda: DESCRIPTION | {"events": [], "tools": [], "webhooks": []},
    "describes_typo": lambda: DESCRIPTION | {"events": [{"type": "call.alertin"}]},
    "describes_twice": lambda: DESCRIPTION | {"events": [{"type": "timer"}, {"type": "timer"}]},
    "describes_no_scenario": lambda: DESCRIPTION | {"scenario": ""},
    "describes_time": lambda: DESCRIPTION | {"scenario": str(time.monotonic_ns())},
    "describes_process": lambda: DESCRIPTION | {"scenario": str(os.getpid())},
    "describes_text": lambda: b"hello",
    "describes_log": lambda: DESCRIPTION | {"log_only": ["agent.akc"]},
    "describes_tool": lambda: DESCRIPTION | {"tools": [{"name": "find", "parameters": {"properties": ["day"]}}]},
    "describes_loosely": lambda: (
        DESCRIPTION
        | {
            "tools": [
                {
                    "name": "find",
                    "parameters": {
                        "properties": {"day": {"enum": {}, "type": "string"}, "x": {"anyOf": []}, "y": 5},
                        "required": 7,
                    },
                }
            ],
        }
    ),
    "describes_state": lambda: DESCRIPTION | {"state": {"x": "x" * 30_000}},
}


def main() -> None:
    """Poll for ever."""
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(method: str, path: str, body: bytes | None = None) -> tuple[str, bytes]:
        connection.request(method, PREFIX + path, body)
        response = connection.getresponse()
        return response.headers.get("Lambda-Runtime-Aws-Request-Id", ""), response.read()

    match BEHAVIOUR:
        case "slow_start":
            time.sleep(60)
        case "dies_at_start":
            sys.exit("no database")
        case "reports_start":
            call("POST", "init/error", b'{"errorType": "Config", "errorMessage": "no key"}')
            sys.exit(1)
    while True:
        request_id, body = call("GET", "invocation/next")
        invocation = json.loads(body)
        said = broken(invocation, answer(invocation))
        if isinstance(said, ValueError):
            error = json.dumps({"errorType": "ValueError", "errorMessage": str(said)})
            call("POST", f"invocation/{request_id}/error", error.encode())
            continue
        try:
            raw = said if isinstance(said, bytes) else json.dumps(said).encode()
            call("POST", f"invocation/{request_id}/response", raw)
        except (OSError, http.client.HTTPException):
            connection.close()  # what is too large is cut off
        if BEHAVIOUR == "one_shot":
            return
        if BEHAVIOUR == "stops_polling":
            time.sleep(60)


if __name__ == "__main__":
    main()
