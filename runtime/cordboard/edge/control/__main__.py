"""`python -m cordboard.edge.control`: control's process, started by the supervisor."""

import argparse
import asyncio
import json
import logging
import os
import random
import secrets
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cordboard.config.error import ConfigError
from cordboard.config.load import load
from cordboard.config.model import Config, Endpoint, SecretRef
from cordboard.config.references import reveal
from cordboard.contract.release import Release
from cordboard.edge import log as edge_log
from cordboard.edge.control.admin import Admin
from cordboard.edge.control.calls import CallFiles
from cordboard.edge.control.dialogs import DialogFiles
from cordboard.edge.control.ended_calls import EndedCalls
from cordboard.edge.control.functions import FunctionsBroken, function_host, with_timeout
from cordboard.edge.control.http import HttpServer, bind_tcp, health_app, public_app
from cordboard.edge.control.keys import KEY_BYTES, KeyUnusable, load_control_key
from cordboard.edge.control.metrics import Metrics
from cordboard.edge.control.planes import PlaneLinks
from cordboard.edge.control.process import FORMER_LIFE, ControlProcess, Surroundings
from cordboard.edge.control.prompts import Prompts
from cordboard.edge.control.reload import follow, watch
from cordboard.edge.control.secrets import control_secrets
from cordboard.edge.control.speech import speech_of
from cordboard.edge.control.task_protection import VARIABLE as ECS_AGENT
from cordboard.edge.control.task_protection import protect
from cordboard.edge.control.webhooks import cartesia_webhooks
from cordboard.edge.data_dir import DataDir
from cordboard.edge.lifeline import LifeLine, ignore_interrupt, report, report_alive
from cordboard.edge.settle import own_address, settle
from cordboard.edge.starts import Starts
from cordboard.edge.tokens import TokenStore
from cordboard.session.engine import ControlEngine
from cordboard.storage.interface import SecretNotFound, SecretReader, StorageError

PLANES_UP: Final = 20.0  # seconds for the first plane; one takes some tenths

log = logging.getLogger(__name__)


def main() -> int:
    """Exit code: 2 where the configuration does not fit this machine."""
    parser = argparse.ArgumentParser(prog="python -m cordboard.edge.control")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--overrides", type=json.loads, default={})
    parser.add_argument("--reload", action="store_true")
    args = parser.parse_args()
    ignore_interrupt()
    try:
        config = settle(load(args.config, os.environ, args.overrides))
        edge_log.set_up("control", config.log.format, config.log.level)
        asyncio.run(_run(config, reload=args.reload))
    except FunctionsBroken as error:
        sys.stderr.write(f"cordboard: {error}\n`cordboard functions list` says what each function is\n")
        return 1
    except (ConfigError, KeyUnusable, StartError, StorageError) as error:
        sys.stderr.write(f"cordboard: {error}\n")
        return 2
    return 0


class StartError(Exception):
    """Control cannot start; two lines: what, and what to do."""


async def _run(config: Config, *, reload: bool) -> None:
    loop = asyncio.get_running_loop()
    data = DataDir(config.edge.data_dir)
    data.make()
    ended = asyncio.Event()

    def end(reason: str) -> None:
        log.info("ending: %s", reason)
        ended.set()

    async with AsyncExitStack() as stack:
        life_line = LifeLine(loop, end)
        stack.callback(life_line.close)
        alive = loop.create_task(report_alive())
        stack.callback(alive.cancel)
        store = await stack.enter_async_context(control_secrets(config, data))
        life = secrets.token_hex(8)
        calls = CallFiles(data, life)
        stack.callback(calls.close)
        dialogs = DialogFiles(data.dialogs)
        host, release = await stack.enter_async_context(function_host(config, data))
        public_url = config.http.public.url
        assert public_url is not None  # settle
        engine = ControlEngine(
            config=config,
            release=with_timeout(release, config.functions.timeout),
            resolve_secret=_resolver(store),
            rng=random.SystemRandom(),  # tags, branches and tokens must not be guessed
            now=loop.time(),
            started_at=datetime.now(UTC),
            life=life,
            control_keys=_control_keys(config, data, store),
            public_url=public_url,
            request_key=_request_key(config, store),
            advertise=lambda peer: own_address(config.sip.advertise, config.sip.udp.host, peer),
            media_host=lambda peer: own_address(config.sip.advertise, config.sip.rtp.bind, peer),
        )
        prompts = Prompts(config.media.prompts, speech_of(config, lambda: _speech_key(config, store)), data.prompts)
        stack.push_async_callback(prompts.close)
        metrics = Metrics(config.routes, lambda: engine.live)
        control = ControlProcess(engine, Surroundings(host, calls, dialogs, _kill_plane, metrics, prompts))
        stack.push_async_callback(control.sip.close)
        webhooks = await stack.enter_async_context(cartesia_webhooks(config, data, store, host, metrics.webhook))
        tokens = stack.enter_context(TokenStore(data.tokens))
        starts = stack.enter_context(Starts(data.starts))
        admin = Admin(control, tokens, starts, EndedCalls(data))
        with _binding("sip.udp", str(config.sip.udp)):
            await control.sip.open(config.sip.udp.host, config.sip.udp.port)
        for key, listen, app in (
            ("http.public.listen", config.http.public.listen, public_app(control.control_url, webhooks)),
            ("http.admin.listen", config.http.admin.listen, admin.app()),
            ("http.metrics.listen", config.http.metrics.listen, health_app(control.not_ready, metrics.exposition)),
        ):
            with _binding(key, str(listen)):
                listener = bind_tcp(listen.host, listen.port)
            server = HttpServer(app, listener)
            stack.push_async_callback(server.close)
            await server.start()
        assert config.edge.planes != "auto"  # settle
        control.links = PlaneLinks(data.run, config.edge.planes, control)
        stack.push_async_callback(control.links.close)
        control.links.start()
        control.restore(dialogs.restore())
        former = loop.create_task(_end_former_lives(calls, config.edge.lease + FORMER_LIFE))
        stack.callback(former.cancel)

        if agent := os.environ.get(ECS_AGENT):
            stack.callback(loop.create_task(protect(agent, lambda: engine.live)).cancel)

        def on_release(release: Release) -> None:
            control.set_release(with_timeout(release, config.functions.timeout))

        if config.functions.host == "lambda":
            stack.callback(loop.create_task(follow(host, on_release)).cancel)
        elif reload:
            watching = loop.create_task(watch(config.functions.template, host, on_release))
            stack.callback(watching.cancel)
        if not await _ready(control, ended):
            if ended.is_set():
                return
            raise StartError(f"no media plane was there after {PLANES_UP:.0f} s\nthe log above says why")
        sip = Endpoint(own_address(config.sip.advertise, config.sip.udp.host), config.sip.udp.port)
        report("ready", {"sip": str(sip), "url": public_url})
        await ended.wait()
        await control.shutdown()


async def _end_former_lives(calls: CallFiles, wait: float) -> None:
    await asyncio.sleep(wait)
    ended = await asyncio.to_thread(calls.end_former_lives)  # a look at every folder of a year's calls takes a while
    if ended:
        log.warning("%d calls of a former life have their records now", len(ended))


async def _ready(control: ControlProcess, ended: asyncio.Event) -> bool:
    ending = asyncio.ensure_future(ended.wait())
    ready = asyncio.ensure_future(control.until_ready(PLANES_UP))
    await asyncio.wait({ending, ready}, return_when=asyncio.FIRST_COMPLETED)
    result = ready.done() and ready.result()
    for task in (ending, ready):
        task.cancel()
    await asyncio.gather(ending, ready, return_exceptions=True)
    return result


class _binding:
    """Names the key of an address that cannot be bound."""

    def __init__(self, key: str, address: str) -> None:
        self._key = key
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StartError(
                f"{self._key}: {self._address} cannot be bound: {error.strerror or error}\n"
                f"end the program that uses it, or set another {self._key}"
            ) from error


def _resolver(store: SecretReader) -> Callable[[str], tuple[str, str]]:
    def resolve(name: str) -> tuple[str, str]:
        try:
            found = store.resolve(name)
        except SecretNotFound as error:
            raise KeyError(str(error)) from None
        return found.value, str(found.version)

    return resolve


def _control_keys(config: Config, data: DataDir, store: SecretReader) -> list[bytes]:
    """The minting key first."""
    public = config.http.public
    if public.signing_key is None:
        first = load_control_key(data.control_key)
    else:
        first = _strong("http.public.signing_key", public.signing_key, store)
    former = [_strong("http.public.former_signing_keys", each, store) for each in public.former_signing_keys]
    return [first, *former]


def _request_key(config: Config, store: SecretReader) -> bytes | None:
    reference = config.http.public.request_key
    return None if reference is None else _strong("http.public.request_key", reference, store)


def _strong(key: str, reference: SecretRef, store: SecretReader) -> bytes:
    value = reveal(key, reference, os.environ, store).encode()
    if len(value) < KEY_BYTES:
        raise StartError(f"{key}: shorter than {KEY_BYTES} bytes\nmake one: openssl rand -hex 32")
    return value


def _speech_key(config: Config, store: SecretReader) -> str:
    reference = config.speech.api_key
    assert reference is not None  # load
    return reveal("speech.api_key", reference, os.environ, store)


def _kill_plane(index: int, pid: int, reason: str) -> None:
    report("kill", {"name": f"plane-{index}", "pid": pid, "reason": reason})


if __name__ == "__main__":
    sys.exit(main())
