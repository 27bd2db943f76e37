"""The torture messages of RFC 4475 (tests/data/rfc4475, from sipgo's test data, BSD-2): what becomes of each.

The folders sort them as that project does; the verdicts here follow the RFC's text for an end point over UDP. Where the
RFC leaves a choice, the comment says which one was made.
"""

import random
from pathlib import Path

import pytest

from cordboard.sip.events import Dropped, IncomingInvite
from cordboard.sip.message import Response
from cordboard.sip.parser import MessageError, parse
from cordboard.sip.ua import UserAgent

from .sip_wire import outgoing

FOLDER = Path(__file__).parents[1] / "data" / "rfc4475"

VERDICTS: dict[str, str | int] = {
    "valid/dblreq": 405,  # REGISTER; what follows Content-Length in the datagram is cut off
    "valid/esc01": "call",
    "valid/esc02": 501,  # RE%47IST%45R is not REGISTER
    "valid/escnull": 405,
    "valid/intmeth": 501,
    "valid/longreq": "call",
    "valid/lwsdisp": 200,
    "valid/mpart01": 405,
    "valid/noreason": "response",
    "valid/semiuri": 200,
    "valid/transports": 200,
    "valid/unreason": "response",
    "valid/wsinv": 481,  # well formed, but its To has a tag and there is no such dialog
    "invalid/badaspec": 200,  # white space inside <>: let pass, as §3.1.2.14 allows
    "invalid/badbranch": 200,  # a branch of the cookie alone is matched by the old rule
    "invalid/baddate": "call",  # Date is not used
    "invalid/baddn": 200,  # unquoted comma in a display name: the meaning can be inferred
    "invalid/badinv01": "malformed",  # the Via cannot be read, so there is nowhere to answer to
    "invalid/badvers": "malformed",  # its Via says SIP/7.0 as well; see test_another_version_gets_505
    "invalid/bcast": "response",
    "invalid/bext01": 420,
    "invalid/bigcode": "malformed",
    "invalid/clerr": 400,
    "invalid/cparam01": 405,
    "invalid/cparam02": 405,
    "invalid/escruri": 400,  # headers in the Request-URI
    "invalid/insuf": 400,
    "invalid/inv2543": "call",
    "invalid/invut": 415,
    "invalid/ltgtruri": 400,
    "invalid/lwsruri": 400,
    "invalid/lwsstart": 400,
    "invalid/mcl01": 400,
    "invalid/mismatch01": 400,
    "invalid/mismatch02": 400,  # 501 would do as well
    "invalid/multi01": 400,
    "invalid/ncl": 400,
    "invalid/novelsc": 416,
    "invalid/quotbal": 400,
    "invalid/regaut01": 405,
    "invalid/regbadct": 405,
    "invalid/regescrt": 405,
    "invalid/scalar02": 400,
    "invalid/scalarlg": "malformed",
    "invalid/sdp01": "call",  # Accept without SDP: our answer is SDP all the same
    "invalid/test": "malformed",  # not from the RFC: no version, no Via
    "invalid/trws": 400,
    "invalid/unkscm": 416,
    "invalid/unksm2": 405,
    "invalid/zeromf": 200,  # an end point answers OPTIONS (§3.3.11)
}


def read(name: str) -> bytes:
    return (FOLDER / f"{name}.dat").read_bytes()


def test_each_file_has_a_verdict() -> None:
    files = {f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.dat")}
    assert files == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(name: str) -> None:
    agent = UserAgent(address=("192.0.2.200", 5060), rng=random.Random(1))
    agent.receive_datagram(read(name), ("198.51.100.9", 5060), 0.0)
    events = []
    while (event := agent.next_event()) is not None:
        events.append(event)
    # A refused request may lack what a response needs, so the answer is read by its first line alone.
    sent = [data.split(b"\r\n")[0].decode() for data, _ in agent.data_to_send(0.0)]
    verdict = VERDICTS[name]
    drops = [event.reason for event in events if isinstance(event, Dropped)]
    if verdict == "call":
        assert [type(event) for event in events if isinstance(event, IncomingInvite)] == [IncomingInvite]
        assert sent == ["SIP/2.0 100 Trying"]
    elif verdict == "response":
        assert drops == ["stray_response"]
        assert sent == []
    elif verdict == "malformed":
        assert drops == ["malformed"]
        assert sent == []
    else:
        assert drops == []
        assert [int(line.split()[1]) for line in sent] == [verdict]


@pytest.mark.parametrize("name", VERDICTS)
def test_parse_and_write_are_inverse(name: str) -> None:
    try:
        message = parse(read(name))
    except MessageError as error:
        assert VERDICTS[name] in (400, 505, "malformed")
        assert error.why  # noqa: PT017
        return
    again = parse(message.to_bytes())
    assert again == message
    assert again.to_bytes() == message.to_bytes()


def test_another_version_gets_505() -> None:
    agent = UserAgent(address=("192.0.2.200", 5060), rng=random.Random(1))
    data = read("invalid/badvers").replace(b"SIP/7.0/UDP", b"SIP/2.0/UDP")
    agent.receive_datagram(data, ("198.51.100.9", 5060), 0.0)
    assert [message.start_line() for message in outgoing(agent)] == ["SIP/2.0 505 Version Not Supported"]


def test_the_tortuous_invite_is_understood() -> None:
    message = parse(read("valid/wsinv"))
    assert message.to.uri == "sip:vivekg@chair-dnrc.example.com"
    assert message.to.tag == "1918181833n"
    assert message.from_.display_name == 'J Rosenberg \\"'
    assert message.from_.tag == "98asjd8"
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert (message.via.host, message.via.branch) == ("192.0.2.2", "390skdjuw")
    assert len(message.headers.listed("Via")) == 3
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.contact == "sip:jdrosen@example.com"
    assert len(message.body) == 150


def test_odd_characters_survive() -> None:
    message = parse(read("valid/intmeth"))
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.tag == "_token~1'+`*%!-."
    response = parse(read("valid/unreason"))
    assert isinstance(response, Response)
    assert response.reason.startswith("= 2**3 * 5**2 но сто")
    empty = parse(read("valid/noreason"))
    assert isinstance(empty, Response)
    assert (empty.code, empty.reason) == (100, "")
