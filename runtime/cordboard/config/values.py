"""Parsers of single values: from what TOML, a flag or the environment gives to what the model holds.

Each takes one value and returns it, or raises ValueError with what is wrong and, after a semicolon, what to write.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from cordboard.config.model import Endpoint, PortRange, SecretRef
from cordboard.config.numbers import compile_pattern
from cordboard.contract.codec import DecodeError
from cordboard.contract.commands import MAX_SPOKEN, Sound

CODECS: Final = ("PCMA", "PCMU", "G722")  # what media speaks on RTP
LEAST_RETENTION: Final = 3_600.0  # seconds; the sweeper comes once an hour
MOST_RETENTION: Final = 36_500 * 86_400.0  # seconds; a hundred years, beyond which "forever" is meant
MAX_LIST: Final = 1_000  # entries of a list; more is a generated file gone wrong
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_HOST: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VOICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_REFERENCES: Final[tuple[Literal["secret", "env", "file"], ...]] = ("secret", "env", "file")

T = TypeVar("T")
Parser = Callable[[object], T]


def parse_duration(text: str) -> float:
    """`500ms`, `10s`, `1.5m`, `4h`, `30d` as seconds. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration; write a number and a unit: 500ms, 10s, 30m, 4h, 30d")
    return float(found[1]) * _UNITS[found[2]]


def text(value: object) -> str:
    """Any text without control characters."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text; put it in quotes")
    if not value.isprintable():
        raise ValueError(f"{value!r} holds control characters; leave them out")
    return value


def prompt(value: object) -> str:
    """What is said or played: a text, or a URL or path that ends in .wav; empty for nothing."""
    found = text(value)
    if found:
        try:
            Sound.of(found)
        except DecodeError as error:
            raise ValueError(f"{error}; write up to {MAX_SPOKEN} characters, or the path of a WAV file") from None
    return found


def name(value: object) -> str:
    """A name of a trunk or scenario."""
    found = text(value)
    if not _NAME.fullmatch(found):
        raise ValueError(f"{found!r} is no name; use up to 64 letters, digits, - _ and .")
    return found


def voice(value: object) -> str:
    """A voice of an engine of speech; never an option of a program."""
    found = text(value)
    if not _VOICE.fullmatch(found):
        raise ValueError(f"{found!r} is no voice; use up to 64 letters, digits and _ . + -, as en-gb or a voice's id")
    return found


def pattern(value: object) -> str:
    """A pattern of numbers."""
    found = text(value)
    compile_pattern(found)
    return found


def duration(least: float, most: float) -> Parser[float]:
    """A duration from `least` to `most` seconds."""

    def parse(value: object) -> float:
        if not isinstance(value, str):
            raise ValueError(f'{value!r} is no duration; write a number and a unit in quotes, as in "10s"')
        seconds = parse_duration(value)
        if not least <= seconds <= most:
            raise ValueError(f"{value!r} is out of range; give {least:g}s to {most:g}s")
        return seconds

    return parse


def retention(value: object) -> float | None:
    """How long something is kept, in seconds: `0` not at all, `forever` None."""
    if value == "forever":
        return None
    if value == "0":
        return 0.0
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is no time to keep something; write "30d", "0" or "forever", in quotes')
    seconds = parse_duration(value)
    if not LEAST_RETENTION <= seconds <= MOST_RETENTION:
        raise ValueError(f'{value!r} is out of range; give "1h" to "36500d", "0" (not kept) or "forever"')
    return seconds


def boolean(value: object) -> bool:
    """true or false; as text too, for flags and the environment."""
    for text_, truth in (("true", True), ("false", False)):
        if value is truth or value == text_:
            return truth
    raise ValueError("must be true or false")


def whole(least: int, most: int) -> Parser[int]:
    """A whole number from `least` to `most`; digits as text are read too."""

    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{value!r} is no whole number from {least} to {most}; write one")
        return value

    return parse


def planes(value: object) -> int | Literal["auto"]:
    """`auto`, or how many."""
    return "auto" if value == "auto" else whole(1, 256)(value)


def one_of(choices: Sequence[T]) -> Parser[T]:
    """One of the choices."""

    def parse(value: object) -> T:
        for choice in choices:
            if value == choice and type(value) is type(choice):
                return choice
        raise ValueError(f"{value!r} is not known; write one of: {', '.join(map(str, choices))}")

    return parse


def list_of(parse_one: Parser[T]) -> Parser[tuple[T, ...]]:
    """A list without doubles."""

    def parse(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError(f'{value!r} is no list; write it in brackets, as in ["a", "b"]')
        if len(value) > MAX_LIST:
            raise ValueError(f"the list has {len(value)} entries; the limit is {MAX_LIST}")
        found = tuple(parse_one(entry) for entry in value)
        if len(set(found)) < len(found):
            raise ValueError("the list names something twice; leave one out")
        return found

    return parse


def endpoint(value: object) -> Endpoint:
    """`host:port` with IPv6 in brackets."""
    written = text(value)
    host, colon, port = written.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(f"{written!r} has no port from 1 to 65535; write it as 0.0.0.0:5060")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(str(ipaddress.IPv6Address(host[1:-1])), int(port))
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no address; write it as 0.0.0.0:5060 or [::]:5060")
    return Endpoint(host, int(port))


def address(value: object) -> str:
    """An IP address."""
    return str(ipaddress.ip_address(text(value)))


def advertise(value: object) -> str:
    """`auto` or an IP address."""
    if isinstance(value, str) and value.startswith("stun:"):
        raise ValueError("stun is not supported yet; write the public address, or auto")
    return "auto" if value == "auto" else address(value)


def network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address or a network, as `203.0.113.0/24`."""
    return ipaddress.ip_network(text(value))


def ports(value: object) -> PortRange:
    """`first-last`."""
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text(value))
    if found is None:
        raise ValueError(f"{value!r} is no range of ports; write it as 16384-24575")
    first, last = int(found[1]), int(found[2])
    if first % 2 or not 1_024 <= first < last < 65_536:
        raise ValueError(
            f"{value!r} is no usable range; start at an even port above 1023 and end above it, below 65536"
        )
    return PortRange(first, last)


def trunk_uri(value: object) -> str:
    """`sip:host[:port]`, over UDP."""
    written = text(value)
    found = re.fullmatch(r"sip:([^;?@]+)(?:;transport=udp)?", written)
    if written.startswith("sips:") or re.search(r";transport=(?!udp$)", written):
        raise ValueError(f"{written!r} asks for a transport that is not supported yet; only UDP is")
    if found is None:
        raise ValueError(f"{written!r} is no address of a trunk; write it as sip:trunk.example or sip:192.0.2.1:5060")
    endpoint(found[1] if re.search(r":[0-9]+$", found[1]) else f"{found[1]}:5060")
    return f"sip:{found[1]}"


def url(*schemes: str) -> Parser[str]:
    """An absolute URL without credentials, query and slash at the end."""

    def parse(value: object) -> str:
        written = text(value)
        parts = urlsplit(written)
        example = f"{schemes[0]}://voice.example"
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"the URL holds credentials, a query or a fragment; write it as {example}")
        if parts.scheme not in schemes or not parts.hostname or " " in written:
            raise ValueError(f"{written!r} is no URL of {' or '.join(schemes)}; write it as {example}")
        if parts.port == 0:  # .port raises ValueError for anything above 65535
            raise ValueError(f"{written!r} has port 0; write it as {example}")
        return written.rstrip("/")

    return parse


def webhook_secrets(value: object) -> tuple[SecretRef, ...]:
    """One reference, or two during a rotation."""
    if isinstance(value, list) and 1 <= len(value) <= 2:
        return list_of(secret_ref)(value)
    raise ValueError('one secret, or two during a rotation, are needed; write [{secret = "NAME"}]')


def secret_ref(value: object) -> SecretRef:
    """`{secret = "NAME"}`, `{env = "NAME"}` or `{file = "/path"}`. The message never repeats the value."""
    if isinstance(value, dict) and len(value) == 1:
        for kind in _REFERENCES:
            named = value.get(kind)
            if isinstance(named, str) and named and named.isprintable():
                return SecretRef(kind, named)
    raise ValueError('secrets are given by reference only; write {secret = "NAME"}, {env = "NAME"} or {file = "/path"}')
