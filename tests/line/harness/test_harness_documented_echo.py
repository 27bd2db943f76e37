"""The first program of docs/agents.md, in a real agent process: it greets, and answers with what was said."""

from __future__ import annotations

import re
from pathlib import Path

from ..line_peer import calling
from .real_agent import ROOT, assistant, program, run, speak


def test_the_pages_first_program_says_what_it_heard(python: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Echo" in block)
    (tmp_path / "main.py").write_text(code)

    async def test() -> None:
        async with program(tmp_path / "main.py", python, "a table") as stand_in, calling(stand_in) as peer:
            await peer.start()
            assert (await assistant(peer))["text"] == "Hello, who is there?"
            await speak(peer)
            assert (await assistant(peer))["text"] == "You said a table."

    run(test())
