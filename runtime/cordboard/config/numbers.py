"""Which pattern a number or SIP URI matches: routes, outbound trunks, and what scenarios may dial.

Patterns follow HANDLERS.md 2.2: exact, prefix with `*`, or /regular expression/. URIs follow RFC 3261 19.1 (SIP) and
RFC 3966 (tel); what cannot be read for certain is refused. Leaves out number formats and the plus of local numbers:
a number is matched as it is written, except that `deny` also sees the other spellings of the same destination.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from cordboard.config.model import Config, Route, Trunk

MAX_TARGET_CHARS: Final = 128  # characters of what is dialled; E.164 has 15 digits, SIP URIs of phones stay below 100
MAX_PATTERN_CHARS: Final = 200  # characters of a pattern; room for a list of some twenty area codes
# A regular expression tries at most about length**repeats * branches places: milliseconds, never minutes.
MAX_REPEATS: Final = 2  # of * + ? {n,m} in one expression; {n} is free
MAX_BRANCHES: Final = 32  # of | in one expression
MAX_BRANCHED_GROUPS: Final = 2  # groups that hold a |

_SEPARATORS: Final = str.maketrans("", "", " -.()")  # RFC 3966 5.1.1: visual separators, and the space people type
_NUMBER: Final = re.compile(r"\+?[0-9*#]+")
_CLASS: Final = re.compile(r"\[\^?\]?[^\]]*(?:\]|$)")
_HOST_PORT: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_USER: Final = re.compile(r"[^\x00-\x20\x7f@:;?\"<>\\]+")
# A number, or a name that no switch could read as a number with unknown separators.
_DIALABLE: Final = re.compile(r"\+?[0-9*#]+|[A-Za-z0-9_][A-Za-z0-9_.~!'-]*|")
_DEFAULT_PORTS: Final = {"sip": "5060", "sips": "5061"}  # RFC 3261 19.1.2
_EXIT_CODES: Final = ("00", "011")  # what is dialled for the plus in most countries and in North America


class PatternError(ValueError):
    """The pattern cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is called or dialled, in one spelling."""

    text: str
    """A number without separators, `sip:user@host[:port]` without parameters, or a plain user name."""
    aliases: tuple[str, ...]
    """Other spellings of the same destination; only `deny` looks at them."""
    user: str
    """The part before the @ of a URI (a number without separators); else the same as `text`."""


def match_number(pattern: str, number: str) -> bool:
    """Whether the whole of `number` matches `pattern`. Longer than MAX_TARGET_CHARS matches nothing.

    Raises PatternError.
    """
    compiled = compile_pattern(pattern)
    return len(number) <= MAX_TARGET_CHARS and compiled.fullmatch(number) is not None


@lru_cache(maxsize=1_024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression to use with fullmatch. Raises PatternError."""
    if not pattern or len(pattern) > MAX_PATTERN_CHARS:
        raise PatternError(f"a pattern has 1 to {MAX_PATTERN_CHARS} characters")
    if pattern.startswith("/"):
        if len(pattern) < 3 or not pattern.endswith("/"):
            raise PatternError("an expression stands between two slashes, as in /\\+1800\\d{7}/")
        return _compile_expression(pattern[1:-1])
    prefix = pattern.endswith("*")
    text = pattern[:-1] if prefix else pattern
    if "*" in text[1:]:
        raise PatternError("a * stands at the end and means any rest; for more write an expression, as in /\\+1\\d*00/")
    if not text.startswith(("sip:", "sips:")):
        if text.lower().startswith(("sip:", "sips:", "tel:")):
            raise PatternError("write sip: or sips: in small letters, and a tel: URI as its number")
        if _NUMBER.fullmatch(text.translate(_SEPARATORS)) and text != text.translate(_SEPARATORS):
            raise PatternError(f"write the number without separators: {text.translate(_SEPARATORS)}")
    elif "@" in text:
        user, _, host = text.rpartition("@")
        text = f"{user}@{host.lower()}"
    if re.search(r"\s", text):
        raise PatternError("a pattern holds no spaces")
    return re.compile(re.escape(text) + (".*" if prefix else ""), re.DOTALL)


def read_target(written: str) -> Target | None:
    """A number, a user name, a tel: or a SIP URI in one spelling; None where it cannot be read for certain."""
    if not 0 < len(written) <= MAX_TARGET_CHARS or not written.isprintable():
        return None
    scheme, colon, rest = written.partition(":")
    scheme = scheme.lower()
    if not colon:
        return _read_plain(written)
    if scheme == "tel":
        digits = None if "phone-context" in rest.lower() else _digits(rest.partition(";")[0])
        return None if digits is None else Target(digits, _spellings(digits), digits)
    if scheme not in _DEFAULT_PORTS:
        return None
    return _read_sip(scheme, rest)


def route_for(config: Config, to: str, trunk: str | None) -> Route | None:
    """The first route that takes a call to `to` (number, user name or SIP URI) over the trunk named `trunk`.

    `trunk` is None for a peer that belongs to none; only routes without a trunk take its calls.
    """
    target = read_target(to)
    if target is None:
        return None
    for route in config.routes:
        if route.trunk in (None, trunk) and match_number(route.to, target.user):
            return route
    return None


def dial_allowed(config: Config, target: str) -> bool:
    """Whether a scenario may dial `target`: in `allow` as it is written, and in no spelling in `deny`."""
    read = read_target(target)
    if read is None or not _DIALABLE.fullmatch(read.user):
        return False
    if any(match_number(pattern, spelling) for pattern in config.dial.deny for spelling in (read.text, *read.aliases)):
        return False
    return any(match_number(pattern, read.text) for pattern in config.dial.allow)


def outbound_for(config: Config, number: str) -> Trunk | None:
    """The trunk of the first [[outbound]] that matches `number` (or SIP URI); None: no trunk takes it."""
    read = read_target(number)
    if read is None:
        return None
    for outbound in config.outbound:
        if match_number(outbound.to, read.text):
            return config.trunk(outbound.trunk)
    return None


def _compile_expression(text: str) -> re.Pattern[str]:
    """Refuses what could take long: repeated groups, back references, look-around, many repeats or branches."""
    # one character stands for each escape, and \x00 for what is refused
    bare = re.sub(
        r"\\(.)|\(\?(?!:)",
        lambda found: "\x00" if found[1] is None or found[1] in "123456789" else "_",
        text,
        flags=re.DOTALL,
    )
    if any(re.search(r".\[|--|&&|~~|\|\|", found[0]) for found in _CLASS.finditer(bare)):
        raise PatternError("a class such as [0-9] holds no [ -- && ~~ or ||, whose meaning Python may change")
    bare = _CLASS.sub("_", bare)  # and so do classes
    if "\x00" in bare:
        raise PatternError("an expression has no back references, look-around or flags; (?:…) is fine")
    bare = bare.replace("(?:", "(")
    if re.search(r"\)(?:[*+{])", bare):
        raise PatternError("an expression repeats no group: write out what (…)* or (…)+ stands for")
    repeats = len(re.findall(r"[*+?]|\{\d*,\d*\}", bare))
    if repeats > MAX_REPEATS:
        raise PatternError(f"an expression has at most {MAX_REPEATS} of * + ? {{n,m}}; this one has {repeats}")
    if bare.count("|") > MAX_BRANCHES or len(re.findall(r"\((?=[^()]*\|)", bare)) > MAX_BRANCHED_GROUPS:
        raise PatternError(f"an expression has at most {MAX_BRANCHES} of | in at most {MAX_BRANCHED_GROUPS} groups")
    if re.search(r"\([^()]*\(", bare):
        raise PatternError("an expression has no group within a group")
    try:
        return re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"not a regular expression: {error}") from None


def _read_plain(written: str) -> Target | None:
    digits = _digits(written)
    if digits is not None:
        return Target(digits, _spellings(digits), digits)
    return Target(written, (), written) if _USER.fullmatch(written) else None


def _read_sip(scheme: str, rest: str) -> Target | None:
    if rest.count("@") > 1 or "?" in rest or ";maddr=" in rest.lower():  # headers and maddr lead the call elsewhere
        return None
    user_part, at, address = rest.rpartition("@")
    try:
        user = unquote(user_part, errors="strict")
    except UnicodeDecodeError:
        return None
    parts = _HOST_PORT.fullmatch(address.partition(";")[0])
    # passwords (RFC 3261 19.1.1) and parameters in the user part, such as phone-context, are refused
    if parts is None or (at and not _USER.fullmatch(user)):
        return None
    host, port = parts[1].lower().rstrip("."), parts[2]
    if not host or (port is not None and not 0 < int(port) < 65_536):
        return None
    digits = _digits(user)
    user = user if digits is None else digits
    name = f"{user}{at}{host}"
    text = f"{scheme}:{name}" + ("" if port is None or port == _DEFAULT_PORTS[scheme] else f":{int(port)}")
    aliases = {f"sip:{name}", f"sips:{name}", user, *(_spellings(digits) if digits else ())} - {text, ""}
    return Target(text, tuple(sorted(aliases)), user)


def _digits(text: str) -> str | None:
    bare = text.translate(_SEPARATORS)
    return bare if _NUMBER.fullmatch(bare) else None


def _spellings(digits: str) -> tuple[str, ...]:
    """Other ways in which the same phone may be meant: without the plus, with it, after an exit code."""
    bare = digits.removeprefix("+")
    found = {bare, f"+{bare}"}
    for code in _EXIT_CODES:
        if bare.startswith(code) and len(bare) > len(code):
            found |= {bare[len(code) :], f"+{bare[len(code) :]}"}
    return tuple(sorted(found - {digits}))
