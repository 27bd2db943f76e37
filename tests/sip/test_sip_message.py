"""Messages, addresses and URIs: what is read, what is refused, what is written (RFC 3261 §7, §19, §20, §25)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.grammar import GrammarError, check_line, parse_parameters, quote, split_outside, unquote
from cordboard.sip.message import Headers, Request, Response, make_response, parse_cseq, parse_via
from cordboard.sip.parser import MAX_HEADER_LINE, MAX_HEADER_LINES, MAX_MESSAGE, MessageError, parse
from cordboard.sip.uri import (
    NameAddr,
    SipUri,
    TelUri,
    UnsupportedScheme,
    number_of,
    parse_name_addr,
    parse_uri,
    readable,
)

HEAD = (
    b"OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
    b"Call-ID: c\r\nCSeq: 1 OPTIONS\r\n"
)


def test_compact_names_folding_and_line_feeds() -> None:
    data = (
        b"OPTIONS sip:b@h SIP/2.0\nv: SIP/2.0/UDP h;branch=z9hG4bK1\nf: <sip:a@h>\n ;tag=1\nT : <sip:b@h>\n"
        b"i: c\nCSeq: 1 OPTIONS\nk: a,\n\t b\nl: 2\n\nhixyz"
    )
    message = parse(data)
    assert message.from_.tag == "1"
    assert message.headers.listed("Supported") == ["a", "b"]
    assert message.body == b"hi"
    assert list(message.headers)[2] == ("T", "<sip:b@h>")
    assert parse(message.to_bytes()) == message


@pytest.mark.parametrize("raw", ["Jürgen".encode("latin-1"), "Jürgen".encode()])
def test_any_bytes_survive_and_are_readable(raw: bytes) -> None:
    data = HEAD + b'Subject: "' + raw + b'"\r\n\r\n'
    message = parse(data)
    assert raw in message.to_bytes()
    assert readable(message.headers.get("Subject") or "") == '"Jürgen"'


def test_header_lists_respect_quotes() -> None:
    headers = Headers([("Contact", '"a, b" <sip:x@h;y=1,2>, <sip:z@h>'), ("m", "<sip:w@h>")])
    assert headers.listed("contact") == ['"a, b" <sip:x@h;y=1,2>', "<sip:z@h>", "<sip:w@h>"]
    headers.set("Contact", "<sip:only@h>")
    assert list(headers) == [("Contact", "<sip:only@h>")]
    assert headers != [("Contact", "<sip:only@h>")]
    assert "only" in repr(headers)


@pytest.mark.parametrize(
    ("data", "code", "answerable"),
    [
        (b"", 400, False),
        (b"hello", 400, False),
        (HEAD.replace(b"SIP/2.0\r", b"SIP/3.0\r", 1) + b"\r\n", 505, True),
        (HEAD.replace(b"Via", b"Vita") + b"\r\n", 400, False),
        (HEAD.replace(b"SIP/2.0/UDP h", b",,") + b"\r\n", 400, False),
        (HEAD.replace(b"Call-ID: c", b"Call-ID:") + b"\r\n", 400, True),
        (HEAD.replace(b"Call-ID: c", b"Call-ID: a b") + b"\r\n", 400, True),
        (HEAD.replace(b"1 OPTIONS", b"1 BYE") + b"\r\n", 400, True),
        (HEAD.replace(b"1 OPTIONS", b"2147483648 OPTIONS") + b"\r\n", 400, True),
        (HEAD.replace(b"<sip:a@h>", b"sip a") + b"\r\n", 400, True),
        (HEAD + b"no colon here\r\n\r\n", 400, False),
        (HEAD + b"Content-Length: 5\r\n\r\nhi", 400, True),
        (HEAD + b"Content-Length: x\r\n\r\n", 400, True),
        (HEAD + b"Content-Length: 1\r\nl: 2\r\n\r\nhi", 400, True),
        (HEAD + b"Max-Forwards: 256\r\n\r\n", 400, True),
        (HEAD + b"Max-Forwards: many\r\n\r\n", 400, True),
        (HEAD + b"Record-Route: nothing\r\n\r\n", 400, True),
        (HEAD + b"X: " + b"x" * MAX_HEADER_LINE + b"\r\n\r\n", 400, False),
        (HEAD + b"X: y\r\n" * MAX_HEADER_LINES + b"\r\n", 400, False),
        (b"OPTIONS sip:b@h SIP/2.0\r\n folded\r\n\r\n", 400, False),
        (b"x" * (MAX_MESSAGE + 1), 400, False),
        (b"SIP/2.0 99 Low\r\n\r\n", 400, False),
        (b"SIP/2.0 700 High\r\n\r\n", 400, False),
        (b"SIP/2.0 2000 OK\r\n\r\n", 400, False),
    ],
)
def test_what_is_refused(data: bytes, code: int, answerable: bool) -> None:
    with pytest.raises(MessageError) as caught:
        parse(data)
    assert caught.value.code == code
    assert (caught.value.request is not None) == answerable
    assert caught.value.why


def test_a_response_leaves_out_what_the_request_lacks() -> None:
    request = Request(Headers([("Via", "SIP/2.0/UDP h"), ("To", "broken")]), b"", "OPTIONS", "sip:x@h")
    response = make_response(request, 499, to_tag="t")
    assert list(response.headers) == [("Via", "SIP/2.0/UDP h"), ("To", "broken")]
    assert response.start_line() == "SIP/2.0 499 Unknown"


def test_content_length_is_always_right() -> None:
    response = Response(Headers(), b"abc", 200, "OK")
    assert response.to_bytes() == b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:a@h", SipUri("sip", "a", "h")),
        ("SIPS:a:pw@h:5061;x=y;lr", SipUri("sips", "a", "h", 5061, (("x", "y"), ("lr", None)), "", "pw")),
        ("sip:h", SipUri("sip", "", "h")),
        ("sip:a@[2001:db8::1]:5060", SipUri("sip", "a", "2001:db8::1", 5060)),
        ("sip:+1;npdi;rn=5@h?Replaces=x%40y", SipUri("sip", "+1;npdi;rn=5", "h", None, (), "Replaces=x%40y")),
        ("sip:user;par=u%40example.net@example.com", SipUri("sip", "user;par=u%40example.net", "example.com")),
        ("sip:a@h;transport=tcp;transport=tcp", SipUri("sip", "a", "h", None, (("transport", "tcp"),) * 2)),
        ("sip:a@h?x=b@c", SipUri("sip", "a", "h", None, (), "x=b@c")),
        ("sip:a?b;c@h", SipUri("sip", "a?b;c", "h")),
        ("tel:+1-555-0100;phone-context=x", TelUri("+1-555-0100", (("phone-context", "x"),))),
    ],
)  # fmt: skip
def test_uris(text: str, expected: SipUri | TelUri) -> None:
    found = parse_uri(text)
    assert found == expected
    assert parse_uri(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "a@h", "sip:", "sip:@h", "sip:a@", "sip:a@h:99999", "sip:a b@h", "tel:abc!", "sip:<a>@h"]
)
def test_broken_uris(text: str) -> None:
    with pytest.raises(GrammarError):
        parse_uri(text)
    assert number_of(text) == ""


def test_foreign_schemes_have_their_own_error() -> None:
    with pytest.raises(UnsupportedScheme):
        parse_uri("http://h")


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+15550100@h", "+15550100"),
        ("sip:%2B1555%20@h", "+1555 "),
        ("sip:1;npdi;rn=2@h", "1"),
        ("sip:J%FCrgen@h", "Jürgen"),
        ("sip:h", ""),
        ("tel:+1-555.0100", "+15550100"),
        ("urn:service:sos", ""),
    ],
)
def test_numbers(uri: str, number: str) -> None:
    assert number_of(uri) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<sip:a@h>;tag=x", NameAddr("sip:a@h", "", (("tag", "x"),))),
        ("sip:a@h;tag=x", NameAddr("sip:a@h", "", (("tag", "x"),))),
        ('"A \\"B\\" <c>" <sip:a@h;lr>', NameAddr("sip:a@h;lr", 'A "B" <c>')),
        ("Al Bo <sip:a@h>", NameAddr("sip:a@h", "Al Bo")),
        ("caller<sip:a@h>;x=\"y;z\"", NameAddr("sip:a@h", "caller", (("x", "y;z"),))),
        ("< sip:a@h > ; tag = x", NameAddr("sip:a@h", "", (("tag", "x"),))),
    ],
)  # fmt: skip
def test_addresses(text: str, expected: NameAddr) -> None:
    found = parse_name_addr(text)
    assert found == expected
    assert parse_name_addr(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "<sip:a@h", '"a <sip:a@h>', "a", "<a>", "<sip:a@h> tag=x", "<sip:a@h>;;", '<sip:"@h>']
)
def test_broken_addresses(text: str) -> None:
    with pytest.raises(GrammarError):
        parse_name_addr(text)


def test_tags_are_replaced_and_removed() -> None:
    address = parse_name_addr("<sip:a@h>;x=1;tag=old")
    assert str(address.with_tag("new")) == "<sip:a@h>;x=1;tag=new"
    assert str(address.with_tag("")) == "<sip:a@h>;x=1"


@pytest.mark.parametrize(
    "text", ["SIP/2.0/UDP", "HTTP/2.0/UDP h", "SIP/1.0/UDP h", "SIP/2.0/U:P h", "SIP/2.0/UDP h:0", "x"]
)
def test_broken_vias(text: str) -> None:
    with pytest.raises(GrammarError):
        parse_via(text)


@pytest.mark.parametrize("text", ["", "1", "x INVITE", "-1 INVITE", "1 IN VITE", "1 IN(V", "²1 INVITE"])
def test_broken_cseqs(text: str) -> None:
    with pytest.raises(GrammarError):
        parse_cseq(text)


def test_parameters_are_bounded() -> None:
    with pytest.raises(GrammarError, match="64"):
        parse_parameters(";a" * 65)


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), max_size=40))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_quoting_is_undone(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split_outside(f"{quote(text)},x", ",") == [quote(text), "x"]
    assert parse_name_addr(str(NameAddr("sip:a@h", text))).display_name == text


@given(st.text(max_size=20))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_line_ends_in_a_header(text: str) -> None:
    try:
        check_line("X", text)
    except ValueError as error:
        assert "X" in str(error)  # noqa: PT017
        return
    assert "\r" not in text
    assert "\n" not in text
