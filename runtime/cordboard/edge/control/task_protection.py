"""Tells Amazon ECS not to stop this task while calls live: deployments and scale-in wait until they have ended.

Follows the ECS agent's task scale-in protection endpoint (ECS developer guide): PUT $ECS_AGENT_URI/task-protection/v1/
state, from inside the task. It guards against ECS alone, not against the loss of an instance.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

import httpx

VARIABLE: Final = "ECS_AGENT_URI"
POLL: Final = 1.0  # seconds between two looks: a call that begins is safe soon after
LIFE: Final = 60  # minutes a protection holds, should this process die
RENEWAL: Final = 20 * 60.0  # seconds after which a protection is asked for again
RETRY: Final = 10.0  # seconds after a refusal; the API takes a few requests a second for all tasks
TIMEOUT: Final = 10.0  # seconds; the agent asks ECS in turn

log = logging.getLogger("cordboard.ecs")


class Refused(Exception):
    """ECS did not change the protection."""


async def protect(agent: str, live: Callable[[], int], poll: float = POLL) -> None:
    """Keep the protection on while `live()` counts calls, off otherwise; until cancelled, which leaves it to end."""
    now = asyncio.get_running_loop().time
    protected: bool | None = None  # not known: a former life may have left it on
    asked_at = 0.0
    told = ""
    async with httpx.AsyncClient(base_url=agent, timeout=TIMEOUT, trust_env=False) as client:
        while True:
            wanted = live() > 0
            if wanted != protected or (wanted and now() - asked_at >= RENEWAL):
                try:
                    await _ask(client, wanted)
                except Refused as error:
                    if str(error) != told:
                        log.error("calls are not protected from ECS: %s", error)
                    told = str(error)
                    await asyncio.sleep(min(RETRY, 10 * poll))
                    continue
                told, protected, asked_at = "", wanted, now()
                log.info("ECS may %s this task", "not stop" if wanted else "stop")
            await asyncio.sleep(poll)


async def _ask(client: httpx.AsyncClient, wanted: bool) -> None:
    body: dict[str, Any] = {"ProtectionEnabled": wanted}
    if wanted:
        body["ExpiresInMinutes"] = LIFE
    try:
        answer = await client.put("/task-protection/v1/state", json=body)
    except httpx.HTTPError as error:
        raise Refused(f"the agent does not answer ({type(error).__name__})") from None
    told: Any = None
    with contextlib.suppress(ValueError):
        told = answer.json()
    protection = told.get("protection") if isinstance(told, dict) else None
    if answer.status_code == 200 and isinstance(protection, dict) and protection.get("ProtectionEnabled") is wanted:
        return
    raise Refused(f"HTTP {answer.status_code} {_reason(told)}".strip())


def _reason(told: Any) -> str:
    """What the agent says under `error` or `failure`."""
    found = (told.get("error") or told.get("failure")) if isinstance(told, dict) else None
    if not isinstance(found, dict):
        return ""
    return " ".join(str(found[key])[:200] for key in ("Code", "Message", "Reason", "Detail") if found.get(key))
