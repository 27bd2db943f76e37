"""Deployments of real processes, the words they print, and webhooks of the calls that they answer."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.harness.harness import Harness
from cordboard.line.harness.program import AgentProgram
from cordboard.line.main import add_arguments, main
from cordboard.line.platform.options import OptionInvalid, open_options
from cordboard.line.platform.service import duration
from cordboard.line.platform.store import FILE, Store
from cordboard.line.webhooks.outbox import Outbox
from cordboard.line.webhooks.sender import Webhooks

from ..line_peer import calling
from .platform_peer import Stage, play, stage

PROGRAM = """
import http.server, os, sys
print("hello from the program", flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        print("posted", flush=True)
        os._exit(3)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_each_start_of_a_program_is_a_deployment_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    program = AgentProgram(tmp_path / "main.py", python=Path(sys.executable))

    async def test() -> None:
        async with asyncio.timeout(20), stage("[agents.b]\n", harnesses={"a": Harness(program)}) as ready:
            await program.start()
            (first,) = await ready.json("GET", "/agents/a/deployments")
            assert (first["status"], first["is_live"], first["error_message"]) == ("ready", True, None)
            async with calling(ready.server) as peer:
                await peer.start()
                assert (await peer.closed())[0] == 1011
            call = await ready.json("GET", f"/agents/calls/{await ready.ended()}")
            assert (call["status"], call["end_reason"], call["deployment_id"]) == ("failed", "error", first["id"])
            while program.starts < 2:  # noqa: ASYNC110 - the program starts again after half a second
                await asyncio.sleep(0.01)
            deployments = await ready.json("GET", "/agents/a/deployments")
            first = await ready.json("GET", f"/agents/deployments/{first['id']}")
            assert (first["status"], first["is_live"]) == ("inactive", False)
            assert deployments[0]["is_live"] is True
            lines = (await ready.json("GET", f"/agents/deployments/{first['id']}/logs"))["data"]
            assert [line["message"] for line in lines] == ["hello from the program", "posted"]
            logged = (await ready.json("GET", f"/agents/calls/{call['id']}/logs"))["data"]
            assert "connected" in [line["message"] for line in logged if line["source"] == "call"]
            assert {line["source"] for line in logged} <= {"call", "agent"}
            await program.close()
            assert (await ready.json("GET", "/agents/a/deployments"))[0]["status"] in ("inactive", "deploy_error")

    asyncio.run(test())


def test_an_address_where_nobody_answers_is_told() -> None:
    async def test(ready: Stage) -> None:
        await ready.json("PATCH", "/agents/a", json={"self_hosted_deployment_url": "http://127.0.0.1:1"})
        await asyncio.gather(*ready.server.platform.deployments._looking)
        (deployment,) = await ready.json("GET", "/agents/a/deployments")
        assert (deployment["status"], deployment["is_live"]) == ("deploy_error", False)
        async with calling(ready.server) as peer:
            await peer.start()
            assert (await peer.closed())[0] == 1011

    play(test)


def test_webhooks_tell_of_a_call_what_rest_tells() -> None:
    bodies: list[dict[str, Any]] = []
    done = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).lower():
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                bodies.append(json.loads(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 204 X\r\n\r\n")
                if bodies[-1]["type"] == "post_call_analysis":
                    done.set()
        except asyncio.IncompleteReadError:
            writer.close()

    async def test() -> None:
        listener = await asyncio.start_server(receive, "127.0.0.1", 0)
        webhooks = Webhooks(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/", "secret", Outbox(None))
        await webhooks.start()
        async with asyncio.timeout(10), stage(webhooks=webhooks) as ready:
            agent = await ready.json("GET", "/agents/a")
            assert agent["webhook_id"] == webhooks.webhook_id
            async with calling(ready.server) as peer:
                await peer.start()
                await peer.until("turn_ended")
            call = await ready.json("GET", f"/agents/calls/{await ready.ended()}")
            await done.wait()
            kinds = [body["type"] for body in bodies]
            assert kinds == ["call_started", "call_turn", "call_completed", "post_call_analysis"]
            assert bodies[1]["turn"] == call["transcript"][0]
            assert bodies[2]["call"] == call
            assert bodies[2]["end_reason"] == "client_hangup"
            told = await ready.json("PATCH", "/agents/a", json={"webhook_id": None})
            assert told["webhook_id"] is None
            async with calling(ready.server) as peer:
                await peer.start()
                await peer.until("turn_ended")
            await ready.ended()
            assert len(webhooks._outbox) == 0
        await webhooks.close()
        listener.close()
        await listener.wait_closed()
        assert len(bodies) == 4

    asyncio.run(test())


# Options


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400.0), ("12h", 43_200.0), ("30d", 2_592_000.0), ("0d", None), ("3", None)]
)
def test_a_duration_is_read(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="not a duration"):
            duration(text)
    else:
        assert duration(text) == seconds


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--retain", "soon"), "--retain: 'soon'"),
        (("--outbound", "ftp://x"), "--outbound: "),
        (("--outbound", "http://user:secret@x/"), "without credentials"),
        (("--knowledge", "/nowhere"), "--knowledge: /nowhere"),
        (("--api-key-file", "/nowhere"), "--api-key-file: /nowhere: No such file"),
    ],
)
def test_a_wrong_option_ends_the_program_with_2(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options(*words)) == 2
    assert told in capsys.readouterr().err


def test_a_key_file_holds_one_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk_mine\n")
    assert open_options(options("--api-key-file", str(file))).api_key == "sk_mine"
    for wrong in ("", "two\nkeys", "cbat_x", "x" * 5000):
        file.write_text(wrong)
        with pytest.raises(OptionInvalid, match="--api-key-file"):
            open_options(options("--api-key-file", str(file)))


def test_a_folder_that_another_program_holds_ends_the_program_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / FILE)
    assert main(options("--data-dir", str(tmp_path), "--port", "0")) == 2
    assert "give this one another --data-dir" in capsys.readouterr().err
    store.close()
