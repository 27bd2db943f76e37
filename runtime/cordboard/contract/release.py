"""A release: the functions of one state of the code, and which of them answers an event (DESIGN §3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .events import tool_called
from .patience import Fallback, Patience
from .records import Description, EventRoute, WebhookRoute


class RouteConflict(ValueError):
    """Two functions listen to one (scenario, event, target), or take one webhook; the message names both."""


@dataclass(frozen=True)
class Release:
    """What a session takes at its start and keeps to its end. Raises RouteConflict."""

    id: str
    """Hash of the code, or the version published with it."""
    functions: Mapping[str, Description]
    """Function name → what it says of itself."""
    _routes: Mapping[tuple[str, str, str | None], tuple[str, EventRoute]] = field(init=False, repr=False)
    _webhooks: Mapping[str, tuple[str, WebhookRoute]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        routes: dict[tuple[str, str, str | None], tuple[str, EventRoute]] = {}
        for name, description in self.functions.items():
            for route in description.events:
                if route.tool and route.target is None:
                    continue
                key = (description.scenario, route.type, route.target)
                if key in routes:
                    raise RouteConflict(
                        f"functions {routes[key][0]!r} and {name!r} both listen to {route.type} of {route.target!r} "
                        f"in scenario {description.scenario!r}; there is one for each"
                    )
                routes[key] = (name, route)
        for name, description in self.functions.items():
            for route in description.events:  # what no handler wants: the first function with tools answers for all
                if route.tool and route.target is None:
                    routes.setdefault((description.scenario, route.type, None), (name, route))
        object.__setattr__(self, "_routes", routes)
        object.__setattr__(self, "_webhooks", _webhooks(self.functions))

    def route(self, scenario: str, type_: str, target: str | None) -> tuple[str, EventRoute] | None:
        """Function and route of an event; an exact target beats none. None: nobody listens."""
        exact = self._routes.get((scenario, type_, target))
        return exact if exact is not None else self._routes.get((scenario, type_, None))

    def routing_target(self, scenario: str, type_: str, target: str | None, data: Mapping[str, Any]) -> str | None:
        """What `route` and `policy` shall be asked for: the tool that the event calls, where a function of the scenario
        has it; else the event's own target."""
        name = tool_called(type_, data)
        found = None if name is None else self._routes.get((scenario, type_, name))
        return name if found is not None and found[1].tool else target

    def webhook(self, type_: str) -> tuple[str, WebhookRoute] | None:
        """Function and route of a webhook; its own type beats `*`. None: nobody takes it."""
        return self._webhooks.get(type_) or self._webhooks.get("*")

    def webhook_types(self) -> frozenset[str]:
        """Types of webhooks that functions take, `*` where one takes all others."""
        return frozenset(self._webhooks)

    def log_only(self, scenario: str) -> frozenset[str]:
        """Event types that the edge only logs."""
        return frozenset(t for d in self.functions.values() if d.scenario == scenario for t in d.log_only)

    def policy(
        self, scenario: str, type_: str, target: str | None
    ) -> Literal["terminate", "ignore", "fallback"] | None:
        """What the handler, else its scenario, says of a failing event; None: the default of DESIGN §4."""
        found = self.route(scenario, type_, target)
        if found is None:
            return None
        return found[1].on_error or self.functions[found[0]].on_error

    def patience(self, scenario: str, type_: str, target: str | None) -> Patience | None:
        """What the handler, else its scenario, lets a call hear while it is late."""
        found = self.route(scenario, type_, target)
        return None if found is None else found[1].patience or self.functions[found[0]].patience

    def has_patience(self, scenario: str) -> bool:
        """Whether any handler of the scenario has one."""
        own = [d for d in self.functions.values() if d.scenario == scenario]
        return any(d.patience is not None or any(route.patience is not None for route in d.events) for d in own)

    def fallback(self, scenario: str, type_: str, target: str | None) -> Fallback | None:
        """What the handler, else its scenario, makes of a call without it."""
        found = self.route(scenario, type_, target)
        return self.last_resort(scenario) if found is None else found[1].fallback or self.functions[found[0]].fallback

    def last_resort(self, scenario: str) -> Fallback | None:
        """What the scenario makes of a call that nobody answers for."""
        found = (d.fallback for d in self.functions.values() if d.scenario == scenario)
        return next((fallback for fallback in found if fallback is not None), None)

    def scenarios(self) -> frozenset[str]:
        """Names of all scenarios."""
        return frozenset(description.scenario for description in self.functions.values() if description.scenario)


def _webhooks(functions: Mapping[str, Description]) -> dict[str, tuple[str, WebhookRoute]]:
    found: dict[str, tuple[str, WebhookRoute]] = {}
    for name, description in functions.items():
        for route in description.webhooks:
            if route.type in found:
                both = f"functions {found[route.type][0]!r} and {name!r}"
                raise RouteConflict(f"{both} both take the webhook {route.type!r}; there is one for each")
            found[route.type] = (name, route)
    return found
