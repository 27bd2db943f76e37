"""Narrower control URLs of one session: what each may ask for, how often and how long (HANDLERS §1.1, DESIGN §7.10).

A capability is bound to the nonce of its token and lives in the session alone: it ends with it. Its limits on
destinations judge what the request says (`to` or `number` of a JSON object); what a handler dials is judged by [dial].
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cordboard.config.numbers import PatternError, compile_pattern, match_number, read_target
from cordboard.contract.commands import ControlUrlMint

from .control_url import SLACK, Bucket, make_nonce
from .steps import Step

if TYPE_CHECKING:
    from .session import Session

MAX_CAPABILITIES = 100
"""Narrow URLs of one session: one for each thing that a long call's tools are handed."""

VERBS = ("action", "tool")
"""Names under which a request's body may say what is asked for, beside the verb in the path."""

DESTINATIONS = ("to", "number", "destination")
"""Names under which a request's body may say whom to dial."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let through, or gets no answer of a handler."""

    status: int
    """404: as if the URL were unknown; 403: valid, outside its scope; 503: nobody is asked any more."""
    code: str
    """not_found, out_of_scope, ended or fallback."""
    detail: str
    """Text for whoever asked."""


ENDED = Refusal(404, "ended", "the session has ended")

TAKEN_OVER = Refusal(503, "fallback", "the scenario's fallback has the call; no handler is asked any more")


@dataclass(slots=True)
class Capability:
    """One narrow URL."""

    name: str
    """Eight hex digits of a hash of its nonce, for the timeline."""
    verbs: frozenset[str] | None
    to: tuple[str, ...] | None
    uses: int | None
    """Requests left."""
    expires: float
    """Monotonic seconds."""

    def judge(self, verb: str | None, body: bytes, now: float) -> Refusal | None:
        """None lets the request pass."""
        if self.over(now):
            return Refusal(404, "not_found", "no such session")
        content = _object(body)
        if self.verbs is not None and not self._allows(verb, content):
            return Refusal(403, "out_of_scope", f"this URL is good for {', '.join(sorted(self.verbs))} alone")
        if self.to is not None and not all(self._reaches(content[name]) for name in DESTINATIONS if name in content):
            return Refusal(403, "out_of_scope", "this URL does not reach that destination")
        return None

    def over(self, now: float) -> bool:
        """It is good for nothing any more."""
        return now >= self.expires or self.uses == 0

    def _allows(self, verb: str | None, content: Mapping[str, object]) -> bool:
        """Handlers read whichever name they like, so every one that is given must be allowed."""
        asked: list[object] = [] if verb is None else [verb]
        asked += [content[name] for name in VERBS if name in content]
        return bool(asked) and all(isinstance(each, str) and each in (self.verbs or ()) for each in asked)

    def _reaches(self, destination: Any) -> bool:
        target = read_target(destination) if isinstance(destination, str) else None
        return target is not None and any(match_number(pattern, target.text) for pattern in self.to or ())


class Capabilities:
    """All control URLs of a session: the full one, and what its handlers minted."""

    def __init__(self, session: "Session", now: float) -> None:
        self._session = session
        services = session.services
        self._full = make_nonce(services.rng)
        self._ends = services.clock.at(now).timestamp() + services.config.limits.max_duration + SLACK
        self._minted: dict[str, Capability] = {}
        self._dead = Bucket()
        self.token = services.control_keys.mint(session.id, self._full, self._ends)
        """The full one's."""

    def mint(self, step: Step, args: ControlUrlMint, now: float) -> None:
        """The command `control_url.mint`."""
        session = self._session
        if len(self._minted) >= MAX_CAPABILITIES:
            step.fail("refused", f"a session may have {MAX_CAPABILITIES} narrow control URLs")
            return
        try:
            for pattern in args.to or ():
                compile_pattern(pattern)
        except PatternError as error:
            step.fail("invalid", f"to: {error}")
            return
        services = session.services
        nonce = make_nonce(services.rng)
        wall = services.clock.at(now).timestamp()
        ends = self._ends if args.expires_in is None else min(self._ends, wall + args.expires_in)
        name = hashlib.sha256(nonce.encode()).hexdigest()[:8]
        verbs = None if args.verbs is None else frozenset(args.verbs)
        self._minted[nonce] = Capability(name, verbs, args.to, args.uses, now + (ends - wall))
        token = services.control_keys.mint(session.id, nonce, ends + 1)
        session.redactor.add(token)
        session.note("http", "control URL minted", {"capability": name}, now)
        step.done({"url": f"{services.public_url}/control/{token}"})

    def judge(self, nonce: str, verb: str | None, body: bytes, now: float) -> Refusal | None:
        """Whether a request with this nonce's token may pass; what a narrow one asks stands in the timeline."""
        if nonce == self._full:
            return None
        capability = self._minted.get(nonce)
        if capability is None:
            return Refusal(404, "not_found", "no such session")
        refusal = capability.judge(verb, body, now)
        facts: dict[str, Any] = {"capability": capability.name, "verb": verb, "left": capability.uses}
        if refusal is not None:
            self._session.note("http", f"control URL refused: {refusal.code}", {**facts, "why": refusal.detail}, now)
        else:
            self._session.note("http", "narrow control URL used", facts, now)
        return refusal

    def bucket(self, nonce: str, now: float) -> Bucket:
        """What requests with this nonce's token are counted in: dead URLs have one, and starve no other."""
        capability = self._minted.get(nonce)
        alive = nonce == self._full or (capability is not None and not capability.over(now))
        return self._session.bucket if alive else self._dead

    def spend(self, nonce: str) -> None:
        """A handler is asked: that was one use."""
        capability = self._minted.get(nonce)
        if capability is not None and capability.uses is not None:
            capability.uses -= 1


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
