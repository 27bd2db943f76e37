"""Secrets for control. Those in files are read at once; those in Parameter Store as a thread has seen them last, since
control's loop may not wait for AWS. A secret that was put a moment ago is known after REFRESH.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final

from cordboard.config.model import Config
from cordboard.edge.data_dir import DataDir
from cordboard.edge.stores import store_addresses
from cordboard.storage.addresses import open_secrets
from cordboard.storage.interface import SecretNotFound, SecretReader, SecretValue
from cordboard.storage.parameter_store import ParameterStoreSecrets

REFRESH: Final = 15.0  # seconds; one request for ten secrets, of 40 that Parameter Store takes each second

log = logging.getLogger("cordboard.secrets")


class KeptSecrets:
    """A SecretReader over what `refresh` has read. Its repr shows nothing of it."""

    def __init__(self, store: ParameterStoreSecrets) -> None:
        self._store = store
        self._values: Mapping[str, SecretValue] = {}

    async def refresh(self) -> None:
        """Read all of them. Raises StorageUnavailable; what was known stays known."""
        self._values = await asyncio.to_thread(self._store.read_all)

    def resolve(self, name: str) -> SecretValue:
        """See Secrets.resolve; never waits."""
        try:
            return self._values[name]
        except KeyError:
            raise SecretNotFound(name) from None

    async def follow(self, every: float = REFRESH) -> None:
        """Refresh until cancelled. A failure is told when it begins, and when it is over."""
        failed = False
        while True:
            await asyncio.sleep(every)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 (whatever it is, the next look may go well)
                if not failed:
                    log.error("secrets stay as they were: %s", error)
                failed = True
            else:
                if failed:
                    log.warning("secrets are read again")
                failed = False


@contextlib.asynccontextmanager
async def control_secrets(config: Config, data: DataDir) -> AsyncIterator[SecretReader]:
    """The configured secrets. Raises StorageUnavailable, FileExposed."""
    with open_secrets(store_addresses(config, data).secrets, time.time) as store:
        if not isinstance(store, ParameterStoreSecrets):
            yield store
            return
        kept = KeptSecrets(store)
        await kept.refresh()
        following = asyncio.get_running_loop().create_task(kept.follow(), name="secrets")
        try:
            yield kept
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
