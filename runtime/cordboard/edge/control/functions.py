"""The host of functions that the configuration chooses, started, with this edge's storage and secrets."""

import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from cordboard.config.aws import LambdaFunctions
from cordboard.config.model import Config
from cordboard.contract.records import Description, EventRoute
from cordboard.contract.release import Release
from cordboard.edge.control.turns import FunctionHost
from cordboard.edge.data_dir import DataDir
from cordboard.edge.stores import store_addresses
from cordboard.hosts.errors import FunctionError, ReleaseError, TemplateError
from cordboard.scenario.binding import SECRETS_VARIABLE, STORAGE_VARIABLE
from cordboard.storage.addresses import open_secrets, open_storage

log = logging.getLogger("cordboard.functions")


_UNSAID: Final = EventRoute("").timeout  # seconds in a description of a handler without `timeout=`


class FunctionsBroken(Exception):
    """The functions cannot be loaded; the message names file or function."""


@asynccontextmanager
async def function_host(config: Config, data: DataDir) -> AsyncIterator[tuple[FunctionHost, Release]]:
    """A host with its first release, closed at the end. Raises FunctionsBroken, StorageUnavailable."""
    with ExitStack() as stack:
        host = _open(config, data, stack)
        try:
            try:
                release = await host.start()
            except (TemplateError, ReleaseError, FunctionError) as error:
                raise FunctionsBroken(str(error)) from None
            warn_of_routes(config, release)
            yield host, release
        finally:
            await host.close()


def warn_of_routes(config: Config, release: Release) -> None:
    """Say which [[routes]] lead nowhere: their calls would get 500."""
    known = release.scenarios()
    for route in config.routes:
        if route.scenario not in known:
            there = ", ".join(sorted(known)) or "none"
            log.warning("no function of scenario %r, which a route names; scenarios there: %s", route.scenario, there)


def with_timeout(release: Release, seconds: float) -> Release:
    """The release whose handlers without a timeout of their own get [functions].timeout."""

    def described(description: Description) -> Description:
        events = (replace(each, timeout=seconds) if each.timeout == _UNSAID else each for each in description.events)
        return replace(description, events=tuple(events))

    return replace(release, functions={name: described(each) for name, each in release.functions.items()})


def _open(config: Config, data: DataDir, stack: ExitStack) -> FunctionHost:
    if config.functions.host == "lambda":
        return _lambda_host(config.functions.aws_lambda)
    addresses = store_addresses(config, data)
    if config.functions.host == "in_process":
        from cordboard.hosts.in_process import InProcessHost
        from cordboard.scenario import Stores

        secrets = open_secrets(addresses.secrets, time.time)
        stack.callback(secrets.close)
        storage = open_storage(addresses.storage, time.time, is_secret=secrets.is_secret)
        stack.callback(storage.close)
        return InProcessHost(config.functions.template, stores=Stores(storage, secrets))
    from cordboard.hosts.workers import WorkerHost

    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return WorkerHost(
        config.functions.template,
        environment={
            **(aws if config.storage.backend == "aws" else {}),  # who opens the stores needs the edge's role
            STORAGE_VARIABLE: addresses.storage,
            SECRETS_VARIABLE: addresses.secrets,
        },
        spare=max(1, config.functions.spare),
        max_workers=config.functions.max_workers,
        on_log=_log_line,
    )


def _lambda_host(wanted: LambdaFunctions) -> FunctionHost:
    try:
        from cordboard.hosts.aws_lambda import LambdaHost, names_in_parameter

        names = (lambda: wanted.names) if wanted.names else names_in_parameter(wanted.parameter, wanted.region)
        return LambdaHost(names, alias=wanted.alias, region=wanted.region)
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise FunctionsBroken("functions.host = \"lambda\" needs boto3: pip install 'cordboard[aws]'") from None
    except ReleaseError as error:
        raise FunctionsBroken(str(error)) from None


def _log_line(function: str, request: str, line: str) -> None:
    log.info("%s", line, extra={"fields": {"function": function, "request": request}})
