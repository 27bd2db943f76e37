"""The admin API on a real listener over a real engine, for its tests and those of its client."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tests.session.session_bench import Answer, Bench, Round

from cordboard.edge.control.admin import Admin
from cordboard.edge.control.ended_calls import EndedCalls
from cordboard.edge.control.http import HttpServer, bind_tcp
from cordboard.edge.data_dir import DataDir
from cordboard.edge.starts import Starts
from cordboard.edge.tokens import SCOPES, Scope, TokenStore
from cordboard.session.operations import Operations

T = TypeVar("T")
NUMBERS = {"to": "+15550002222", "callerid": "+15550001111"}
START = {"scenario": "desk", "custom_data": {"to": "+1555"}}


def dials(round_: Round) -> Answer:
    round_.command("call.dial", "callee", **NUMBERS)
    return round_.done()


def records(round_: Round) -> Answer:
    round_.command("call.record", "callee", name="recording")
    return round_.done()


class Stage:
    """One edge's API, its engine and its files. It is the API's operator."""

    client: httpx.AsyncClient
    port: int

    def __init__(self, folder: Path, *changes: str, **handlers: Any) -> None:
        self.data = DataDir(folder / "var")
        self.data.make()
        self.bench = Bench(*changes, **{"session_started": dials, "call_connected": records, **handlers})
        self.tokens = TokenStore(self.data.tokens)
        self.starts = Starts(self.data.starts)

    def operate(self, act: Callable[[Operations], T]) -> T:
        try:
            return self.bench.engine.operate(act, self.bench.now)
        finally:
            self.bench.pump()

    def token(self, *scopes: Scope, expires: float | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.create(scopes or SCOPES, expires, time.time())}"}

    def run(self, story: Callable[["Stage"], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            listener = bind_tcp("127.0.0.1", 0)
            server = HttpServer(Admin(self, self.tokens, self.starts, EndedCalls(self.data)).app(), listener)
            await server.start()
            self.port = listener.getsockname()[1]
            base = f"http://127.0.0.1:{self.port}"
            try:
                async with httpx.AsyncClient(base_url=base, headers=self.token(), verify=False) as self.client:
                    await story(self)
            finally:
                await server.close()
                self.tokens.close()
                self.starts.close()

        asyncio.run(all_of_it())

    async def start(self, body: Any = START, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/v1/sessions", json=body, headers=named)
