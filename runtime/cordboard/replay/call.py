"""Asks today's functions about every event of a recorded call."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cordboard.contract.journal import JournalUnheard
from cordboard.scenario import Stores

from .differences import Difference
from .event import EventReplay
from .functions import OfflineFunctions
from .masks import GUESSES
from .reads import RecordedReads
from .recorded import RecordedCall, RecordedEvent


@dataclass(slots=True)
class CallReport:
    """What was found of one call."""

    session: str
    events: int = 0
    """Events that were asked again."""
    unanswered: int = 0
    """Events whose function gave no answer then: there is nothing to compare."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """At least one is a difference."""
        return any(each.differs for each in self.differences)


class Replay:
    """Today's functions, ready for recorded calls. Close it, or use it as a context."""

    def __init__(self, template: Path, *, code: Path | None = None, follow_state: bool = False) -> None:
        """`code`: a folder in place of the template's; `follow_state`: each event gets the state that today's handlers
        made, not the recorded one. Raises TemplateError, FunctionRaised, RouteConflict."""
        self._reads = RecordedReads()
        self._functions = OfflineFunctions(template, Stores(recorded=self._reads), code=code)
        self._follow = follow_state

    def call(self, call: RecordedCall) -> CallReport:
        """Ask again about every event; each is compared by itself, up to its first difference."""
        report = CallReport(call.began.session)
        followed: Mapping[str, Any] | None = None
        for event in call.events:
            if event.unanswered:
                report.unanswered += 1
                continue
            report.events += 1
            state = event.state if followed is None or not self._follow else followed
            replay = EventReplay(self._functions, self._reads, call, event, state)
            difference = replay.run()
            followed = replay.after
            if difference is not None:
                hidden = replay.hidden
                if difference.differs and hidden and self._depends(call, event, state, difference):
                    difference = replace(
                        difference, what="masked", recorded=", ".join(dict.fromkeys(hidden)), today=None
                    )
                report.differences.append(difference)
        report.differences += self._newly_heard(call)
        return report

    def _depends(
        self, call: RecordedCall, event: RecordedEvent, state: Mapping[str, Any], difference: Difference
    ) -> bool:
        """Whether the difference is another one, or none, where the handler gets other digits for those masked; or
        comes of a mask where the handler's state has a number."""
        if difference.what == "failure" and str(difference.today).startswith("DecodeError"):
            return True
        return any(
            EventReplay(self._functions, self._reads, call, event, state, guess).run() != difference
            for guess in GUESSES
        )

    def _newly_heard(self, call: RecordedCall) -> list[Difference]:
        found = []
        for unheard in call.unheard:
            function = self._listener(call.began.scenario, unheard)
            if function is not None:
                name = call.began.session
                found.append(Difference(name, 0, unheard.type, unheard.target, "listens", None, function))
        return found

    def _listener(self, scenario: str, unheard: JournalUnheard) -> str | None:
        release = self._functions.release
        if unheard.type in release.log_only(scenario):
            return None
        tool = None if unheard.tool is None else release.route(scenario, unheard.type, unheard.tool)
        if tool is not None and tool[1].tool:
            return tool[0]
        found = release.route(scenario, unheard.type, unheard.target)
        return None if found is None else found[0]

    def close(self) -> None:
        """Forget the functions' modules."""
        self._functions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
