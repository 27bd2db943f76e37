"""What a function says of itself, judged: an edge that could not use it would not start."""

from collections.abc import Mapping
from typing import Any

from cordboard.contract.codec import DecodeError, decode
from cordboard.contract.events import EVENTS
from cordboard.contract.records import MAX_STATE, Description, size_of
from cordboard.contract.release import Release, RouteConflict

from .judge import Violation


def read_description(function: str, raw: Mapping[str, Any]) -> Description:
    """What a function says of itself. Raises Violation of what an edge could not use."""
    advice = "describe as schemas/description.json says, with event types of schemas/events.json"
    try:
        found = decode(Description, raw, unknown="ignore")
        if (size := size_of(found.state)) > MAX_STATE:
            raise DecodeError("state", f"has {size} bytes, more than {MAX_STATE}")
        if found.contract != "1":
            raise DecodeError("contract", f"is {found.contract!r}, this edge has '1'")
        if found.events and not found.scenario:
            raise DecodeError("scenario", "is empty, though it listens to events")
        if not found.events and not found.webhooks:
            raise DecodeError("events", "is empty, and so is webhooks: nothing would ever come")
        for index, route in enumerate(found.events):
            if route.type not in EVENTS:
                raise DecodeError(f"events[{index}].type", f"{route.type!r} is sent by no edge of this release")
            if not route.timeout > 0:
                raise DecodeError(f"events[{index}].timeout", f"{route.timeout:g} s is not above 0")
        for index, type_ in enumerate(found.log_only):
            if type_ not in EVENTS:
                raise DecodeError(f"log_only[{index}]", f"{type_!r} is sent by no edge of this release")
        for index, tool in enumerate(found.tools):
            if not isinstance(tool.parameters.get("properties", {}), Mapping):
                raise DecodeError(f"tools[{index}].parameters.properties", "is no object of JSON Schemas")
        Release("conformance", {function: found})
    except (DecodeError, RouteConflict) as error:
        raise Violation("describe", str(error), advice) from None
    return found
