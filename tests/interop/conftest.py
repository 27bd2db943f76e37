"""What the tests against real SIP clients share: the loop, which lasts as long as an edge does, and the edge."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
from tests.interop.edge_stage import EdgeStage

LIMIT = 60.0
"""Seconds after which a test has failed."""

Run = Callable[[Coroutine[object, object, None]], None]


@pytest.fixture(scope="session")
def loop_runner() -> Iterator[asyncio.Runner]:
    """One loop for all: an edge that several tests share has its stand-in in it."""
    with asyncio.Runner() as runner:
        yield runner
    gc.collect()  # a socket that was left open warns, and warnings are errors


@pytest.fixture
def run(loop_runner: asyncio.Runner) -> Run:
    """Runs a test's coroutine to its end, with a limit."""

    async def bounded(body: Coroutine[object, object, None]) -> None:
        async with asyncio.timeout(LIMIT):
            await body

    def runner(body: Coroutine[object, object, None]) -> None:
        loop_runner.run(bounded(body))

    return runner


@pytest.fixture(scope="module")
def started_edge(loop_runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStage]:
    """An edge of real processes for the tests of one file."""
    stage = EdgeStage(tmp_path_factory.mktemp("edge"))
    loop_runner.run(stage.__aenter__())
    try:
        yield stage
    finally:
        loop_runner.run(stage.__aexit__(None, None, None))
    assert stage.left_over() == []


@pytest.fixture
def edge(started_edge: EdgeStage) -> EdgeStage:
    """The edge, for a test whose calls alone count."""
    started_edge.know_all()
    return started_edge


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test's peers keep their files."""
    return tmp_path
