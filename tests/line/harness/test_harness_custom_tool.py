"""A model's tool that is answered by custom messages, as docs/agents.md shows it, in a real agent process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..line_peer import calling
from .model_server import model
from .real_agent import ROOT, assistant, program, run, speak

PAGE = ROOT / "docs" / "agents.md"


def test_the_pages_tool_asks_by_custom_message_and_the_model_reads_the_answer(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "class Asking" in block)
    (tmp_path / "main.py").write_text(code)

    async def test() -> None:
        async with model(("find_table", {"day": "Friday", "seats": 4}), "Half past seven.") as server:
            monkeypatch.setenv("MODEL", "openai/any")
            monkeypatch.setenv("MODEL_KEY", "sk")
            monkeypatch.setenv("OPENAI_API_BASE", server.url)
            async with (
                program(tmp_path / "main.py", python, "a table on Friday") as stand_in,
                calling(stand_in) as peer,
            ):
                await peer.start(agent={"introduction": ""})
                await peer.until("ack")
                await speak(peer)
                asked = (await peer.until("custom"))[0]["metadata"]
                assert (asked["tool"], asked["arguments"]) == ("find_table", {"day": "Friday", "seats": 4})
                answer = {"tool": "find_table", "id": asked["id"], "result": {"slots": ["19:30"]}}
                await peer.send({"event": "custom", "metadata": answer})
                assert (await assistant(peer))["text"] == "Half past seven."
        last = server.requests[-1]["messages"][-1]
        assert (last["role"], "19:30" in last["content"]) == ("tool", True)

    run(test())
