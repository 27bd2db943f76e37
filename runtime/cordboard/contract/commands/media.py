"""Who hears whom."""

from dataclasses import dataclass

from .wire import command


@command("media.send", "media.stop")
@dataclass(frozen=True, slots=True)
class MediaRoute:
    """One direction: `source` is heard by `sink`."""

    source: str
    """Name of the unit that speaks."""
    sink: str
    """Name of the unit that hears."""
    tag: str | None = None
    """Free mark, shown in the timeline."""


@command("media.bridge", "media.unbridge")
@dataclass(frozen=True, slots=True)
class MediaPair:
    """Both directions between two units."""

    a: str
    """Name of one unit."""
    b: str
    """Name of the other."""
