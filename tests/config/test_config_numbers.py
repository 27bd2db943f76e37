"""Patterns, spellings of one destination, routes, trunks and what may be dialled."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.config.load import load
from cordboard.config.model import Config
from cordboard.config.numbers import (
    MAX_PATTERN_CHARS,
    MAX_TARGET_CHARS,
    PatternError,
    dial_allowed,
    match_number,
    outbound_for,
    read_target,
    route_for,
)

MATCHES = [
    ("+18005550100", "+18005550100", True),
    ("+18005550100", "+180055501000", False),
    ("+18005550100", "18005550100", False),
    ("+1*", "+18005550100", True),
    ("+1*", "+1", True),
    ("+1*", "+4418", False),
    ("*", "", True),
    ("*", "sip:alice@pbx.example", True),
    ("*72", "*72", True),
    ("*72", "x72", False),
    ("*72*", "*721", True),
    ("a.c", "a.c", True),
    ("a.c", "abc", False),
    ("sip:*", "sip:alice@pbx.example", True),
    ("sip:alice@PBX.example", "sip:alice@pbx.example", True),
    ("alice", "Alice", False),
    ("/\\+1(800|888)\\d{7}/", "+18005550100", True),
    ("/\\+1(800|888)\\d{7}/", "+188855501001", False),
    ("/\\+1(800|888)\\d{7}/", "x+18005550100", False),
    ("/100|200/", "1002", False),
    ("/\\d+/", "١٢٣", False),
    ("/1\\d*00/", "123400", True),
    ("/[+]?49(30|40)\\d+/", "4930123", True),
    ("/sip:(?:alice|bob)@pbx\\.example/", "sip:bob@pbx.example", True),
]


@pytest.mark.parametrize(("pattern", "number", "matches"), MATCHES)
def test_match_number(pattern: str, number: str, matches: bool) -> None:
    assert match_number(pattern, number) is matches


def test_what_is_too_long_matches_nothing() -> None:
    assert match_number("*", "1" * MAX_TARGET_CHARS)
    assert not match_number("*", "1" * (MAX_TARGET_CHARS + 1))
    assert not match_number("/.*/", "1" * (MAX_TARGET_CHARS + 1))


BAD_PATTERNS = [
    ("", "1 to"),
    ("1" * (MAX_PATTERN_CHARS + 1), "1 to"),
    ("/", "two slashes"),
    ("//", "two slashes"),
    ("/1", "two slashes"),
    ("+1*00", "at the end"),
    ("+1**", "at the end"),
    ("+1 800*", r"\+1800"),
    ("+1-800", "without separators"),
    ("(030)1", "without separators"),
    ("SIP:alice@pbx.example", "small letters"),
    ("tel:+1", "as its number"),
    ("alice bob", "no spaces"),
    ("/(/", "not a regular expression"),
    ("/a{99999999999}/", "not a regular expression"),
    ("/(a+)+/", "repeats no group"),
    ("/(a|aa)*/", "repeats no group"),
    ("/(a|aa){30}/", "repeats no group"),
    ("/(\\d)\\1/", "back references"),
    ("/(?=1)1/", "look-around"),
    ("/(?i)a/", "look-around"),
    ("/a*a*a*b/", "at most 2"),
    ("/a?a?a?aaa/", "at most 2"),
    ("/a{1,9}a{1,9}a{1,9}/", "at most 2"),
    ("/(a|aa)(a|aa)(a|aa)/", "groups"),
    ("/((a|b)c)/", "group within"),
    ("/[[a]/", "a class"),
    ("/[[/", "a class"),
    ("/[^[]/", "a class"),
    ("/[a--b]/", "a class"),
    ("/[a||b]/", "a class"),
    ("/[/", "not a regular expression"),
    ("/" + "|".join("1" * 34) + "/", "at most 32"),
]


@pytest.mark.parametrize(("pattern", "why"), BAD_PATTERNS)
def test_bad_patterns_are_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        match_number(pattern, "1")


@given(pattern=st.text(alphabet="1a*+?{},|()[]\\/^$.-:@ d\x00é&~", max_size=30), number=st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_pattern_answers_or_is_refused(pattern: str, number: str) -> None:
    for written in (pattern, f"/{pattern}/"):
        with contextlib.suppress(PatternError):
            assert match_number(written, number) in (True, False)


TARGETS = [
    ("+1 (800) 555-0100", "+18005550100"),
    ("*72", "*72"),
    ("alice", "alice"),
    ("tel:+1-800-555-0100;ext=5", "+18005550100"),
    ("TEL:110", "110"),
    ("sip:Alice@PBX.Example", "sip:Alice@pbx.example"),
    ("SIP:alice@pbx.example.;transport=tcp", "sip:alice@pbx.example"),
    ("sip:alice@pbx.example:5060", "sip:alice@pbx.example"),
    ("sip:alice@pbx.example:05080", "sip:alice@pbx.example:5080"),
    ("sips:alice@pbx.example:5061", "sips:alice@pbx.example"),
    ("sip:%2B1-900-555@192.0.2.1", "sip:+1900555@192.0.2.1"),
    ("sip:alice@[2001:DB8::1]:5060", "sip:alice@[2001:db8::1]"),
    ("sip:pbx.example", "sip:pbx.example"),
]


@pytest.mark.parametrize(("written", "text"), TARGETS)
def test_one_spelling(written: str, text: str) -> None:
    target = read_target(written)
    assert target is not None
    assert target.text == text
    assert target.text not in target.aliases


UNREADABLE = [
    "",
    "sip:",
    "sip:@pbx.example",
    "sip:a@b@c",
    "sip:a:password@pbx.example",
    "sip:a@pbx.example?Route=%3Csip:evil.example%3E",
    "sip:a@pbx.example;maddr=192.0.2.9",
    "sip:a@pbx.example;MADDR=192.0.2.9",
    "sip:900;phone-context=+1@pbx.example",
    "sip:%40@pbx.example",
    "sip:%ff@pbx.example",
    "sip:%00@pbx.example",
    "sip:a@pbx.example:0",
    "sip:a@pbx.example:99999",
    "sip:a@pbx example",
    "sip:a@pbx.example\r\nX: y",
    "tel:900;phone-context=+1",
    "tel:alice",
    "http://pbx.example",
    "urn:service:sos",
    "1" * (MAX_TARGET_CHARS + 1),
]


@pytest.mark.parametrize("written", UNREADABLE)
def test_what_cannot_be_read_is_refused_everywhere(written: str) -> None:
    assert read_target(written) is None
    assert not dial_allowed(EVERYTHING, written)
    assert route_for(EVERYTHING, written, None) is None
    assert outbound_for(EVERYTHING, written) is None


@given(written=st.text(max_size=60).map(lambda rest: f"sip:{rest}") | st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_target_is_read_or_refused_and_reads_the_same_again(written: str) -> None:
    target = read_target(written)
    if target is not None and target.text.isascii() and "%" not in target.text:
        again = read_target(target.text)
        assert again is not None
        assert again.text == target.text


def config(text: str) -> Config:
    """A configuration from TOML text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cordboard.toml"
        path.write_text(text)
        return load(path, {}, {})


TRUNKS = """
[[trunks]]
name = "main"
uri = "sip:trunk.example"
[[trunks]]
name = "lab"
uri = "sip:192.0.2.1:5080"
"""
EVERYTHING = config(
    f'{TRUNKS}[dial]\nallow = ["*"]\ndeny = []\n'
    '[[routes]]\nto = "*"\nscenario = "s"\n[[outbound]]\nto = "*"\ntrunk = "main"'
)
ROUTED = config(
    TRUNKS
    + """
[[routes]]
to = "+18005550100"
trunk = "main"
scenario = "support"
[[routes]]
to = "+1800*"
scenario = "sales"
[[routes]]
to = "/\\\\+44\\\\d{10}/"
trunk = "lab"
scenario = "uk"
[[routes]]
to = "alice"
scenario = "alice"
[[routes]]
to = "+1800*"
scenario = "never"
[[outbound]]
to = "+1*"
trunk = "main"
[[outbound]]
to = "sip:*"
trunk = "lab"
[[outbound]]
to = "+44*"
trunk = "lab"
"""
)

ROUTES = [
    ("+18005550100", "main", "support"),
    ("+1-800-555-0100", "main", "support"),
    ("sip:+18005550100@198.51.100.1:5060;user=phone", "main", "support"),
    ("sip:%2B18005550100@edge.example", "main", "support"),
    ("tel:+18005550100", "main", "support"),
    ("+18005550100", "lab", "sales"),
    ("+18005550100", None, "sales"),
    ("18005550100", "main", None),
    ("+442071234567", "lab", "uk"),
    ("+442071234567", "main", None),
    ("+442071234567", None, None),
    ("alice", None, "alice"),
    ("sip:alice@198.51.100.1", None, "alice"),
    ("Alice", None, None),
    ("bob", None, None),
]


@pytest.mark.parametrize(("to", "trunk", "scenario"), ROUTES)
def test_the_first_route_that_matches(to: str, trunk: str | None, scenario: str | None) -> None:
    route = route_for(ROUTED, to, trunk)
    assert (route and route.scenario) == scenario


@pytest.mark.parametrize("user", ["anything", "žofie", "2001/3", "+1a", "", "a%20b"])
def test_a_star_takes_every_user(user: str) -> None:
    assert (route_for(EVERYTHING, f"sip:{user}@edge.example" if user else "sip:edge.example", None) is None) == (
        user == "a%20b"
    )


OUTBOUND = [
    ("+18005550100", "main"),
    ("+1 800 555 0100", "main"),
    ("+442071234567", "lab"),
    ("sip:alice@pbx.example", "lab"),
    ("18005550100", None),
    ("alice", None),
]


@pytest.mark.parametrize(("number", "trunk"), OUTBOUND)
def test_the_first_outbound_that_matches(number: str, trunk: str | None) -> None:
    found = outbound_for(ROUTED, number)
    assert (found and found.name) == trunk


DIAL = [
    # allow, deny, target, allowed
    ([], [], "+18005550100", False),
    ([], [], "sip:alice@pbx.example", False),
    (["+1*"], [], "+18005550100", True),
    (["+1*"], [], "+1 800 555-0100", True),
    (["+1*"], [], "tel:+18005550100", True),
    (["+1*"], [], "+442071234567", False),
    (["+1*"], [], "18005550100", False),
    (["+1*"], [], "0018005550100", False),
    (["+1*"], [], "sip:+18005550100@evil.example", False),
    (["+1*"], [], "alice", False),
    (["+1*"], [], "+1a", False),
    (["+1*"], [], "+1/900", False),
    (["+1*"], [], "+1९००", False),
    (["alice"], [], "alice", True),
    (["*"], [], "žofie", False),
    (["sip:*"], [], "sip:alice@pbx.example", True),
    (["sip:alice@pbx.example"], [], "sip:alice@PBX.example:5060;transport=udp", True),
    (["sip:alice@pbx.example"], [], "sip:alice@pbx.example:5080", False),
    (["sip:alice@pbx.example"], [], "sips:alice@pbx.example", False),
    (["sip:alice@pbx.example"], [], "sip:alice@pbx.example.evil.example", False),
    (["/sip:[a-z]+@pbx\\.example/"], [], "sip:alice@pbx.example", True),
    (["/sip:[a-z]+@pbx\\.example/"], [], "sip:alice@pbxxexample", False),
    (["*"], ["+1900*"], "+19005550100", False),
    (["*"], ["+1900*"], "+1-900-555-0100", False),
    (["*"], ["+1900*"], "19005550100", False),
    (["*"], ["+1900*"], "0019005550100", False),
    (["*"], ["+1900*"], "01119005550100", False),
    (["*"], ["+1900*"], "+0019005550100", False),
    (["*"], ["+1900*"], "sip:+19005550100@trunk.example", False),
    (["*"], ["+1900*"], "sip:%2b1900.555.0100@trunk.example", False),
    (["*"], ["+1900*"], "sips:19005550100@trunk.example", False),
    (["*"], ["+1900*"], "tel:+1-900-555-0100", False),
    (["*"], ["+1900*"], "+18005550100", True),
    (["*"], ["sip:mallory@*"], "sips:mallory@pbx.example", False),
    (["*"], ["sip:mallory@pbx.example"], "sip:mallory@pbx.example:5080", False),
    (["*"], ["mallory"], "sip:mallory@pbx.example", False),
    (["+1800*"], ["+18005550100"], "+18005550100", False),
    (["*"], ["*"], "+18005550100", False),
    (["*"], None, "112", False),
    (["*"], None, "911", False),
    (["*"], None, "+911", False),
    (["*"], None, "sip:911@trunk.example", False),
    (["*"], None, "+919811234567", True),
]


@pytest.mark.parametrize(("allow", "deny", "target", "allowed"), DIAL)
def test_what_may_be_dialled(allow: list[str], deny: list[str] | None, target: str, allowed: bool) -> None:
    loaded = load(None, {}, {"dial.allow": allow, "dial.deny": deny})
    assert dial_allowed(loaded, target) is allowed
