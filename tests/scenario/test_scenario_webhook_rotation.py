"""A function that lives for hours on Lambda sees a webhook's secret change, and outlives a silence of its store."""

import asyncio
import time
from typing import Any

import pytest
from tests.scenario.test_scenario_webhooks import COMPLETED, request

from cordboard.scenario import CartesiaWebhooks, Stores
from cordboard.scenario.webhooks import GATE_LIFE
from cordboard.storage.claims import MemoryClaims
from cordboard.storage.interface import SecretValue, StorageUnavailable
from cordboard.storage.memory import MemorySecrets


class Secrets(MemorySecrets):
    silent = False

    def resolve(self, name: str) -> SecretValue:
        if self.silent:
            raise StorageUnavailable("ThrottlingException")
        return super().resolve(name)


class Function:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        patch.setattr(time, "time", lambda: self.now)
        self.secrets = Secrets()
        self.webhooks = CartesiaWebhooks()
        self.stores = Stores(None, self.secrets, MemoryClaims(time.monotonic))

        @self.webhooks.on()
        async def any_of_them(event: Any) -> None: ...

    def statuses(self, *given: str) -> list[int]:
        async def ask(secret: str) -> int:
            return int((await self.webhooks.run(request(COMPLETED, secret), stores=self.stores))["statusCode"])

        return [asyncio.run(ask(secret)) for secret in given]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    return Function(monkeypatch)


def test_a_rotation_is_seen_within_a_minute(function: Function) -> None:
    function.secrets.put("CARTESIA_WEBHOOK_SECRET", "old")
    assert function.statuses("old", "next") == [204, 401]
    function.secrets.put("CARTESIA_WEBHOOK_SECRET_NEXT", "next")
    function.now += GATE_LIFE - 1
    assert function.statuses("old", "next") == [204, 401]
    function.now += 1
    assert function.statuses("old", "next") == [204, 204]
    function.secrets.put("CARTESIA_WEBHOOK_SECRET", "next")
    function.secrets.remove("CARTESIA_WEBHOOK_SECRET_NEXT")
    function.now -= 10 * GATE_LIFE  # a clock that was set back does not keep a secret alive
    assert function.statuses("old", "next") == [401, 204]


def test_a_store_that_is_silent_for_a_while_changes_nothing(function: Function) -> None:
    function.secrets.silent = True
    with pytest.raises(StorageUnavailable):
        function.statuses("old")
    function.secrets.silent = False
    function.secrets.put("CARTESIA_WEBHOOK_SECRET", "old")
    assert function.statuses("old") == [204]
    function.secrets.silent = True
    function.now += GATE_LIFE
    assert function.statuses("old", "other") == [204, 401]
