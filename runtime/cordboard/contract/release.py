"""A release: the functions of one state of the code, and which of them answers an event (DESIGN §3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from .records import Description, EventRoute


class RouteConflict(ValueError):
    """Two functions listen to one (scenario, event, target)."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a session takes at its start and keeps to its end."""

    id: str
    """Hash of the code, or the version published with it."""
    functions: Mapping[str, Description]
    """Function name → what it says of itself."""

    def check(self) -> None:
        """Raises RouteConflict that names both functions."""
        seen: dict[tuple[str, str, str | None], str] = {}
        for name, description in self.functions.items():
            for route in description.events:
                key = (description.scenario, route.type, route.target)
                if key in seen and seen[key] != name:
                    on = f"{route.type}:{route.target}" if route.target else route.type
                    raise RouteConflict(
                        f"functions {seen[key]} and {name} both listen to {on} of scenario {description.scenario}"
                    )
                seen[key] = name

    def route(self, scenario: str, type_: str, target: str | None) -> tuple[str, EventRoute] | None:
        """(function name, its route), or None. An exact target beats none."""
        general: tuple[str, EventRoute] | None = None
        for name, description in self.functions.items():
            if description.scenario != scenario:
                continue
            for route in description.events:
                if route.type == type_ and route.target == target and target is not None:
                    return name, route
                if route.type == type_ and route.target is None:
                    general = name, route
        return general

    def scenarios(self) -> frozenset[str]:
        """Names of all scenarios."""
        return frozenset(description.scenario for description in self.functions.values())

    def log_only(self, scenario: str) -> frozenset[str]:
        """Event types that the edge only logs."""
        found = (d.log_only for d in self.functions.values() if d.scenario == scenario)
        return frozenset(type_ for types in found for type_ in types)

    def on_error(self, scenario: str) -> str | None:
        """The scenario's own failure policy, if one of its functions states it."""
        return next((d.on_error for d in self.functions.values() if d.scenario == scenario and d.on_error), None)
