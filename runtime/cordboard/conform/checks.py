"""What is played to one function, check by check (the list is `judge.CHECKS`).

Every play goes to real processes. An event that broke the contract once is played no more, so that a fault stands in
the table once; rows of `start`, `late` and `size` tell the worst of all plays.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from cordboard.contract.codec import DecodeError, encode
from cordboard.contract.records import (
    DESCRIBE_SCHEMA,
    MAX_ANSWER,
    MAX_REQUEST,
    Description,
    StateSnapshot,
    size_of,
)
from cordboard.contract.webhooks import WebhookInvocation
from cordboard.hosts.errors import FunctionRaised
from cordboard.hosts.host import DESCRIBE_TIMEOUT

from .answers import check_reply, check_tool_answer, decode_webhook, missing_of, status_of
from .descriptions import read_description
from .judge import CHECKS, Result, Row, Violation
from .program import FIRST, SECOND, Program
from .rounds import Play, difference, divergence
from .samples import Given, Sample, ToolCall, samples, tool_calls, webhook

MAX_LATE: Final = 3  # late events after which nothing more is played: each costs a round's whole time
_DETERMINISM: Final = (
    "take what may differ (time, random numbers, outside data) from the invocation, or journal it; keep nothing in "
    "variables of the process"
)


class Examination:
    """The checks of one function. `run` gives its rows."""

    def __init__(self, program: Program, only: frozenset[str], given: Given) -> None:
        """`only`: checks to play; empty: all."""
        self.description: Description | None = None
        self._program = program
        self._given = given
        self._only = only or frozenset(CHECKS)
        self._rows: list[Row] = []
        """What failed or raised."""
        self._passes: dict[str, str] = {}
        """Check → detail of its ok row, unless it fails later."""
        self._samples: list[Sample] = []
        self._missing: set[tuple[str, str]] = set()
        """Keys and secrets that have their row."""
        self._usual: dict[str, Play] = {}
        """Label → the event played alone, in one process."""
        self._took: dict[str, float] = {}
        """Label → seconds of its first round."""
        self._late = 0
        self._events = 0

    async def run(self) -> list[Row]:
        """Play everything; rows in the order of CHECKS."""
        program = self._program
        try:
            await program.worker(FIRST)
            self.description = await self._describe()
        except Violation as violation:
            self._failed(violation)
            return self._sorted()
        except FunctionRaised as error:
            detail = f"to {DESCRIBE_SCHEMA}: expected a description, but {error.message}"
            self._failed(Violation("describe", detail, "answer what schemas/description.json describes"))
            return self._sorted()
        self._samples = samples(self.description, self._given)
        if self._samples:
            await self._each("answer", self._answer)
        for sample in self._samples[:1]:
            await self._play("answer", sample, self._cold)
        await self._guarded("describe", self._describe_again())
        plays: Mapping[str, Callable[[Sample], Awaitable[None]]] = {
            "replay": self._replay, "duplicate": self._duplicate, "order": self._order, "newer": self._newer,
            "state": self._state, "crash": self._repeated,
        }  # fmt: skip
        for check, play in plays.items():
            if check in self._only and self._samples:
                await self._each(check, play)
        if "newer" in self._only:
            await self._guarded("newer", self._unknown_type())
        if "crash" in self._only:
            for sample in sorted(self._samples, key=lambda each: -self._usual[each.label].waits)[:1]:
                await self._play("crash", sample, self._crash)
        self._replies()
        await self._tools(self.description)
        await self._webhooks(self.description)
        self._summaries(self.description)
        return self._sorted()

    # -- rows

    def _row(self, check: str, result: Result, detail: str, advice: str = "") -> None:
        self._rows.append(Row(self._program.spec.name, check, result, detail, advice))

    def _raised(self, check: str, play: Play) -> None:
        """A row, if the handler raised."""
        error = play.answers[-1].error
        if error is None or error.type == "bad_request":
            return
        advice = "no breach of the contract, but nothing behind it was played: may an event like this raise?"
        self._row(check, "raised", f"{play.sample.label}: {error.type}: {error.message}", advice)

    def _misses(self, check: str, play: Play) -> None:
        """A row for each key that the handler asked for and nobody gave, whatever it did without."""
        for kind, name in [each for answer in play.answers for each in missing_of(answer)]:
            if (kind, name) in self._missing:
                continue
            self._missing.add((kind, name))
            detail = f"{play.sample.label}: asked for the {kind} {name or 'that it does not name'}, which is not there"
            advice = f"what it does with one was not played; add --{kind} {name or 'NAME'}=VALUE"
            self._row(check, "missing", detail, advice)

    def _failed(self, violation: Violation) -> None:
        self._row(violation.check, "failed", violation.detail, violation.advice)
        self._late += violation.check == "late"
        if self._late >= MAX_LATE:
            self._samples = []

    def _sorted(self) -> list[Row]:
        failed = {row.check for row in self._rows if row.result == "failed"}
        for check, detail in self._passes.items():
            if check not in failed:
                self._row(check, "ok", detail)
        order = list(CHECKS)
        found = [row for row in self._rows if row.result == "failed" or row.check in self._only]
        return sorted(found, key=lambda row: order.index(row.check))

    async def _guarded(self, check: str, play: Awaitable[None], label: str = "") -> bool:
        """Run it; a violation becomes a row, and False."""
        try:
            await play
        except Violation as violation:
            self._failed(violation.at(label) if label else violation)
            return False
        except FunctionRaised as error:
            advice = "answer `failed` with the error of a handler; an error of the program itself is a fault"
            found = Violation(check, f"reported an error instead of an answer: {error.message}", advice)
            self._failed(found.at(label) if label else found)
            return False
        return True

    async def _each(self, check: str, play: Callable[[Sample], Awaitable[None]]) -> None:
        before, samples = self._events, self._samples
        for sample in samples:
            if sample in self._samples:
                await self._play(check, sample, play)
        if self._samples == samples:  # else another check may have the blame, and this one was not played to its end
            rounds = self._events - before
            nothing = "nothing to play" if not self._missing else "nothing to play without what is missing"
            self._passes[check] = f"{rounds} rounds of {_kinds(samples)}" if rounds else nothing

    async def _play(self, check: str, sample: Sample, play: Callable[[Sample], Awaitable[None]]) -> None:
        if not await self._guarded(check, play(sample), sample.label):
            self._samples = [each for each in self._samples if each is not sample]

    # -- plays

    async def _ask(self, play: Play, which: int, attempt: int = 1) -> Mapping[str, Any]:
        self._events += 1
        return await self._program.ask(which, play.invocation(attempt), play.sample.timeout)

    async def _to_end(self, play: Play, *processes: int) -> Play:
        """Play all rounds, by turns in these processes."""
        while not play.over:
            which = processes[len(play.answers) % len(processes)]
            play.take(await self._ask(play, which))
        return play

    async def _describe(self) -> Description:
        asked = [await self._program.ask(FIRST, {"schema": DESCRIBE_SCHEMA}, DESCRIBE_TIMEOUT) for _ in range(2)]
        if asked[0] != asked[1]:
            raise Violation(
                "describe", "two descriptions of one process differ", "describe what the code says, no more"
            )
        return read_description(self._program.spec.name, asked[0])

    async def _answer(self, sample: Sample) -> None:
        play = self._usual[sample.label] = await self._to_end(Play(sample), FIRST)
        self._misses("answer", play)
        self._raised("answer", play)

    async def _cold(self, sample: Sample) -> None:
        """The first event that a process ever has."""
        play = Play(sample)
        answer = play.judge(await self._ask(play, SECOND))
        if found := difference(self._usual[sample.label].answers[0], answer):
            detail = f"as the first event of another process: expected the same answer, but {found}"
            raise Violation("duplicate", detail, _DETERMINISM)

    async def _describe_again(self) -> None:
        again = await self._program.ask(SECOND, {"schema": DESCRIBE_SCHEMA}, DESCRIBE_TIMEOUT)
        if read_description(self._program.spec.name, again) != self.description:
            detail = "another process of the same code describes itself differently"
            raise Violation("describe", detail, "describe what the code says, no more")

    async def _replay(self, sample: Sample) -> None:
        usual = self._usual[sample.label]
        if not usual.waits:
            return
        moved = await self._to_end(Play(sample), SECOND, FIRST)
        if found := divergence(usual.answers, moved.answers):
            raise Violation("replay", f"rounds in two processes by turns: expected the same, but {found}", _DETERMINISM)
        await self._to_end(Play(sample, outcome="awaited alone done"), FIRST, SECOND)
        for number in range(usual.waits):
            await self._to_end(Play(sample, outcome="failed", fails=number), SECOND, FIRST)

    async def _duplicate(self, sample: Sample) -> None:
        play = Play(sample)
        while not play.over:
            once = await self._ask(play, FIRST)
            for which, where in ((FIRST, "again in the same process"), (SECOND, "again in another process")):
                other = play.judge(await self._ask(play, which))
                if found := difference(play.judge(once), other):
                    detail = f"one invocation {where}: expected the same answer, but {found}"
                    raise Violation("duplicate", detail, _DETERMINISM)
            play.take(once)

    async def _order(self, sample: Sample) -> None:
        late, early = Play(sample, seq=9), Play(sample, seq=7)
        backwards = [play.take(await self._ask(play, FIRST)) for play in (late, early)]
        forwards = [await self._to_end(Play(sample, seq=seq), SECOND) for seq in (7, 9)]
        for what, one, other in (
            ("7 after event 9", backwards[1], forwards[0]), ("9 before event 7", backwards[0], forwards[1]),
        ):  # fmt: skip
            if found := difference(other.answers[0], one):
                raise Violation("order", f"event {what}: expected the same answer, but {found}", _DETERMINISM)
        names = ("s_one", "s_two")
        mixed = [Play(sample, session=name) for name in names]
        while not all(play.over for play in mixed):
            for play in mixed:
                if not play.over:
                    play.take(await self._ask(play, FIRST))
        for name, play in zip(names, mixed, strict=True):
            alone = await self._to_end(Play(sample, session=name), SECOND)
            if found := divergence(alone.answers, play.answers):
                detail = f"rounds of two sessions by turns: expected the same answer as alone, but {found}"
                raise Violation("order", detail, _DETERMINISM)

    async def _newer(self, sample: Sample) -> None:
        play = Play(sample)
        payload = play.invocation()
        for part in (payload, payload["session"], payload["event"], payload["state"], *payload["objects"]):
            part["from_tomorrow"] = {"x": 1}
        payload["event"]["data"] = {**payload["event"]["data"], "from_tomorrow": [1]}
        payload["padding"] = "x" * (MAX_REQUEST - size_of(payload) - 16)
        self._events += 1
        answer = play.judge(await self._program.ask(FIRST, payload, sample.timeout))
        if found := difference(self._usual[sample.label].answers[0], answer):
            detail = f"with unknown fields, {MAX_REQUEST} bytes in all: expected the same answer, but {found}"
            raise Violation("newer", detail, "ignore fields that you do not know, and read the whole body")

    async def _unknown_type(self) -> None:
        sample = Sample("call.from_tomorrow", "call.from_tomorrow", "caller", {"x": 1}, 5.0)
        try:
            raw = await self._ask(Play(sample), FIRST)
        except FunctionRaised:
            return  # an error that is reported refuses it, too
        except Violation as violation:
            raise Violation("newer", f"an unknown event: {violation.detail}", violation.advice) from None
        if raw.get("commands"):
            detail = "an unknown event: expected failed with not_found, or no commands; some came"
            raise Violation("newer", detail, "answer failed with error type not_found to what no handler listens to")

    async def _state(self, sample: Sample) -> None:
        assert self.description is not None
        first = await self._to_end(Play(sample, state=StateSnapshot(5, self.description.state)), FIRST)
        change = first.answers[-1].state
        if change is None:
            return
        again = await self._to_end(Play(sample, state=StateSnapshot(6, change.data)), SECOND)
        error = again.answers[-1].error
        if error is not None and error.type == "DecodeError":
            raise Violation(
                "state", f"cannot read what it wrote: {error.message}", "write what the next event can read"
            )

    async def _repeated(self, sample: Sample) -> None:
        """Attempt 2 of a round whose first attempt is lost."""
        play = Play(sample)
        raw = await self._ask(play, FIRST, attempt=2)
        self._took[sample.label] = self._program.took
        answer = play.judge(raw, attempt=2)
        if found := difference(self._usual[sample.label].answers[0], answer):
            raise Violation("crash", f"attempt 2: expected the answer of attempt 1, but {found}", _DETERMINISM)

    async def _crash(self, sample: Sample) -> None:
        """A process dies in the middle of a round; the other one has attempt 2."""
        play = Play(sample)
        half = self._took[sample.label] / 2
        await self._program.kill_in_mid_round(SECOND, play.invocation(), sample.timeout, half)
        play.take(await self._ask(play, FIRST, attempt=2), attempt=2)
        await self._to_end(play, FIRST)
        if found := divergence(self._usual[sample.label].answers, play.answers):
            detail = f"after another process died of it: expected the same, but {found}"
            raise Violation("crash", detail, _DETERMINISM)

    # -- what only some functions have

    def _replies(self) -> None:
        asked = [(s, self._usual[s.label].answers[-1]) for s in self._samples if s.type == "http.request"]
        for sample, answer in asked:
            try:
                check_reply(answer)
            except DecodeError as error:
                advice = "without a Content-Type a reply is taken for JSON: send JSON, or say what it is"
                self._failed(Violation("reply", f"{sample.label}: {error}", advice))
        if asked:
            self._passes["reply"] = f"{len(asked)} requests: {' '.join(status_of(answer) for _, answer in asked)}"

    async def _tools(self, description: Description) -> None:
        if not description.tools or "tools" not in self._only:
            return
        ways = {(route.type, route.target) for route in description.events if route.tool}
        calls = [
            call
            for tool in description.tools
            for call in tool_calls(tool, self._given)
            if (call.sample.type, tool.name) in ways
        ]
        before = self._events
        for call in calls:

            async def play(call: ToolCall = call) -> None:
                played = await self._to_end(Play(call.sample), FIRST, SECOND)
                check_tool_answer(call, played.answers)
                self._misses("tools", played)
                self._raised("tools", played)

            if not await self._guarded("tools", play(), call.sample.label):
                return
        names = ", ".join(tool.name for tool in description.tools)
        self._passes["tools"] = f"{self._events - before} rounds of {len(calls)} calls: {names}"

    async def _webhooks(self, description: Description) -> None:
        if "webhooks" not in self._only:
            return
        for route in description.webhooks:

            async def play(type_: str = route.type, timeout: float = route.timeout) -> None:
                payload = encode(WebhookInvocation(webhook(type_)))
                assert isinstance(payload, dict)
                answer = decode_webhook(await self._program.ask(FIRST, payload, timeout))
                if answer.error is not None:
                    detail = f"{type_}: {answer.error.type}: {answer.error.message}"
                    self._row(
                        "webhooks", "raised", detail, "the sender would try again: may a webhook like this raise?"
                    )

            await self._guarded("webhooks", play(), route.type)
        if description.webhooks:
            self._passes["webhooks"] = " ".join(route.type for route in description.webhooks)

    def _summaries(self, description: Description) -> None:
        program = self._program
        listens = [*dict.fromkeys(route.type for route in description.events)]
        self._passes["start"] = f"{program.started_in:.2f} s"
        self._passes["describe"] = f"{description.scenario or 'no scenario'}: {', '.join(listens) or 'webhooks'}"
        self._passes["late"] = f"the slowest round took {program.slowest * 1000:.0f} ms"
        self._passes["size"] = f"the largest answer has {program.largest} bytes of {MAX_ANSWER}"


def _kinds(played: Iterable[Sample]) -> str:
    count = len({(each.type, each.target) for each in played})
    return f"{count} event{'' if count == 1 else 's'}"
