"""Reading the configuration: defaults, precedence, what is refused and how the message reads."""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.config.error import ConfigError
from cordboard.config.load import load, show
from cordboard.config.model import Config, Endpoint, PortRange, SecretRef, Trunk
from cordboard.config.not_yet import NOT_YET, NOT_YET_VALUES
from cordboard.config.toml_file import MAX_FILE
from cordboard.config.values import MAX_LIST, parse_duration

EVERYTHING = """\
[edge]
planes = 3
data_dir = "var"
lease = "8s"
[http.public]
listen = "[::]:8443"
url = "https://voice.example/"
signing_key = {secret = "CONTROL_KEY"}
[http.admin]
listen = "127.0.0.1:8081"
[http.metrics]
listen = "localhost:9091"
[sip]
udp = "192.0.2.1:5070"
advertise = "203.0.113.9"
rtp = {bind = "192.0.2.1", ports = "20000-20999"}
accept = "any"
[[trunks]]
name = "main"
uri = "sip:trunk.example;transport=udp"
identify = ["203.0.113.0/24", "2001:db8::1"]
codecs = ["G722", "PCMU"]
max_calls = 60
[[trunks]]
name = "in-only"
[[routes]]
to = "+18005550100"
trunk = "main"
scenario = "line-agent"
max_calls = 20
[[routes]]
to = "*"
scenario = "other"
[[outbound]]
to = "+1*"
trunk = "main"
[dial]
allow = ["+1*", "sip:*"]
deny = ["+1900*"]
max_per_call = 2
[functions]
host = "in_process"
template = "sam/template.yaml"
timeout = "2500ms"
spare = 0
max_workers = 48
[agents.cartesia]
base_url = "ws://127.0.0.1:8090"
connect_timeout = "3s"
[storage]
backend = "sqlite"
[recording]
mode = "off"
[limits]
max_calls = 20
max_duration = "1.5h"
no_answer = "30s"
idle_session = "2m"
[log]
format = "text"
level = "debug"
"""


Environ = Mapping[str, str]
Flags = Mapping[str, object]
NONE: Mapping[str, str] = {}


def read(folder: Path, text: str, environ: Environ = NONE, flags: Flags = NONE) -> Config:
    path = folder / "cordboard.toml"
    path.write_text(text)
    return load(path, environ, flags)


def refusal(folder: Path, text: str, environ: Environ = NONE, flags: Flags = NONE) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        read(folder, text, environ, flags)
    assert refused.value.message
    assert refused.value.hint
    return refused.value


def test_defaults() -> None:
    config = load(None, {}, {})
    assert (config.edge.planes, config.edge.data_dir, config.edge.lease) == ("auto", Path("var"), 10.0)
    assert (str(config.http.public.listen), config.http.public.url) == ("0.0.0.0:8443", None)
    assert config.http.public.signing_key is None
    assert (str(config.http.admin.listen), str(config.http.metrics.listen)) == ("127.0.0.1:8080", "127.0.0.1:9090")
    assert (config.sip.udp, config.sip.advertise, config.sip.accept) == (Endpoint("0.0.0.0", 5060), "auto", "trunks")
    assert (config.sip.rtp.bind, config.sip.rtp.ports) == ("0.0.0.0", PortRange(16_384, 24_575))
    assert not any((config.trunks, config.routes, config.outbound, config.dial.allow))
    assert {"112", "911"} <= set(config.dial.deny)
    assert config.dial.max_per_call == 3
    assert (config.functions.host, config.functions.template) == ("workers", Path("template.yaml"))
    assert (config.functions.timeout, config.functions.spare, config.functions.max_workers) == (5.0, 1, 32)
    assert config.agents.cartesia.base_url == "wss://api.cartesia.ai"
    assert config.agents.cartesia.connect_timeout == 5.0
    assert (config.storage.backend, config.recording.mode) == ("sqlite", "scenario")
    limits = config.limits
    assert (limits.max_calls, limits.max_duration, limits.no_answer, limits.idle_session) == (200, 14_400, 60, 60)
    assert (config.log.format, config.log.level) == ("json", "info")
    assert {setting.source for setting in show(config)} == {"default"}


def test_every_key_of_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, EVERYTHING)
    assert (config.edge.planes, config.edge.data_dir, config.edge.lease) == (3, tmp_path / "var", 8.0)
    assert config.http.public.listen == Endpoint("::", 8443)
    assert str(config.http.public.listen) == "[::]:8443"
    assert config.http.public.url == "https://voice.example"
    assert config.http.public.signing_key == SecretRef("secret", "CONTROL_KEY")
    assert (config.http.admin.listen.port, config.http.metrics.listen) == (8081, Endpoint("localhost", 9091))
    assert (str(config.sip.udp), config.sip.advertise, config.sip.accept) == ("192.0.2.1:5070", "203.0.113.9", "any")
    assert (config.sip.rtp.bind, config.sip.rtp.ports) == ("192.0.2.1", PortRange(20_000, 20_999))
    networks = (ip_network("203.0.113.0/24"), ip_network("2001:db8::1/128"))
    assert config.trunks == (
        Trunk("main", "sip:trunk.example", networks, ("G722", "PCMU"), 60),
        Trunk("in-only", None, (), ("PCMA", "PCMU"), None),
    )
    assert config.trunk("in-only") is config.trunks[1]
    assert [(route.to, route.trunk, route.scenario, route.max_calls) for route in config.routes] == [
        ("+18005550100", "main", "line-agent", 20),
        ("*", None, "other", None),
    ]
    assert [(outbound.to, outbound.trunk) for outbound in config.outbound] == [("+1*", "main")]
    assert (config.dial.allow, config.dial.deny, config.dial.max_per_call) == (("+1*", "sip:*"), ("+1900*",), 2)
    assert (config.functions.host, config.functions.template) == ("in_process", tmp_path / "sam" / "template.yaml")
    assert (config.functions.timeout, config.functions.spare, config.functions.max_workers) == (2.5, 0, 48)
    assert config.agents.cartesia.base_url == "ws://127.0.0.1:8090"
    assert (config.recording.mode, config.limits.max_duration, config.limits.idle_session) == ("off", 5_400.0, 120.0)
    assert (config.log.format, config.log.level) == ("text", "debug")


def test_every_setting_says_where_it_came_from(tmp_path: Path) -> None:
    config = read(tmp_path, EVERYTHING, {"CORDBOARD_LOG__LEVEL": "error"}, {"edge.planes": 4})
    sources = {setting.key: (setting.value, setting.source) for setting in show(config)}
    file = tmp_path / "cordboard.toml"
    assert sources["edge.planes"] == (4, "flag")
    assert sources["log.level"] == ("error", "env CORDBOARD_LOG__LEVEL")
    assert sources["sip.udp"] == ("192.0.2.1:5070", f"{file}:14")
    assert sources["sip.rtp.ports"] == ("20000-20999", f"{file}:16")
    assert sources["routes[1].scenario"] == ("other", f"{file}:33")
    assert sources["routes[1].trunk"] == (None, "default")
    assert sources["http.public.signing_key"][0] == {"secret": "CONTROL_KEY"}


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    text, environ = '[sip]\nudp = "0.0.0.0:5002"\n', {"CORDBOARD_SIP__UDP": "0.0.0.0:5003"}
    assert read(tmp_path, "").sip.udp.port == 5060
    assert read(tmp_path, text).sip.udp.port == 5002
    assert read(tmp_path, text, environ).sip.udp.port == 5003
    assert read(tmp_path, text, environ, {"sip.udp": "0.0.0.0:5004"}).sip.udp.port == 5004
    assert read(tmp_path, text, environ, {"sip.udp": None}).sip.udp.port == 5003


def test_the_environment_writes_lists_and_tables_as_toml() -> None:
    environ = {
        "CORDBOARD_DIAL__ALLOW": '["+1*", "+44*"]',
        "CORDBOARD_DIAL__DENY": "[]",
        "CORDBOARD_DIAL__MAX_PER_CALL": "7",
        "CORDBOARD_EDGE__PLANES": "2",
        "CORDBOARD_EDGE__DATA_DIR": "var/lib",
        "CORDBOARD_SIP__RTP__PORTS": "30000-30099",
        "CORDBOARD_HTTP__PUBLIC__SIGNING_KEY": '{env = "KEY"}',
        "CORDBOARD_URL": "http://127.0.0.1:8080",
        "CORDBOARD_TOKEN": "t",
        "PATH": "/bin",
    }
    config = load(None, environ, {})
    assert (config.dial.allow, config.dial.deny, config.dial.max_per_call) == (("+1*", "+44*"), (), 7)
    assert (config.edge.planes, config.edge.data_dir) == (2, Path("var/lib"))
    assert config.sip.rtp.ports == PortRange(30_000, 30_099)
    assert config.http.public.signing_key == SecretRef("env", "KEY")


def test_paths_of_flag_and_environment_count_from_the_working_folder(tmp_path: Path) -> None:
    config = read(tmp_path, "", {"CORDBOARD_EDGE__DATA_DIR": "here"}, {"functions.template": "/abs/template.yaml"})
    assert (config.edge.data_dir, config.functions.template) == (Path("here"), Path("/abs/template.yaml"))
    assert read(tmp_path, "").edge.data_dir == tmp_path / "var"


UNKNOWN = [
    ('[sip]\nudpp = "x"', "sip.udpp", 2, "did you mean sip.udp?"),
    ('[sipp]\nudp = "x"', "sipp.udp", 2, "did you mean sip.udp?"),
    ('\n\n[[trunks]]\nname = "a"\nidentifi = []', "trunks[0].identifi", 5, "did you mean trunks.identify?"),
    ('[sip]\nrtp = {port = "1-2"}', "sip.rtp.port", 2, "did you mean sip.rtp.ports?"),
    ("[limits]\nmax_cals = 1", "limits.max_cals", 2, "did you mean limits.max_calls?"),
    ("zzz = 1", "zzz", 1, "cordboard config show"),
    ("[zzz]", "zzz", 1, "cordboard config show"),
    ('[sip]\ntlss = ""', "sip.tlss", 2, "did you mean sip.tls?"),
]


@pytest.mark.parametrize(("text", "key", "line", "hint"), UNKNOWN)
def test_an_unknown_key_is_answered_with_the_nearest(tmp_path: Path, text: str, key: str, line: int, hint: str) -> None:
    error = refusal(tmp_path, text)
    assert (error.key, error.line, error.message) == (key, line, "is not known")
    assert hint in error.hint
    assert str(error) == f"{tmp_path / 'cordboard.toml'}:{line}: {key}: is not known\n{error.hint}"


def test_unknown_variables_and_flags_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, "", {"CORDBOARD_SIP__UPD": "x"})
    assert (error.file, error.line, error.hint) == ("CORDBOARD_SIP__UPD", None, "did you mean sip.udp?")
    error = refusal(tmp_path, "", flags={"sip.upd": "x"})
    assert (error.file, error.key) == ("flag", "sip.upd")
    error = refusal(tmp_path, "", {"CORDBOARD_ROUTES__TO": "x"})
    assert error.message == "tables in an array are not read from the environment"


@pytest.mark.parametrize("key", sorted(NOT_YET))
def test_a_key_that_is_not_built_yet_says_so(tmp_path: Path, key: str) -> None:
    table, _, last = key.rpartition(".")
    if key == "otel":
        text, at = f'[{key}]\nsomething = "x"', f"{key}.something"
    elif key == "hooks":
        text, at = '[[hooks]]\nurl = "x"', "hooks"
    elif table == "trunks":
        text, at = f'[[trunks]]\nname = "a"\n{last} = "x"', f"trunks[0].{last}"
    else:
        text, at = f'[{table}]\n{last} = "x"', key
    error = refusal(tmp_path, text)
    assert (error.key.removesuffix(".something"), error.message) == (
        at.removesuffix(".something"),
        "is not supported yet",
    )
    assert error.line is not None


HARMLESS = """\
[http.public]
tls = {cert = "", key = ""}
trusted_proxies = []
[http.admin]
console = false
[sip]
tcp = ""
tls = ""
[[trunks]]
name = "a"
register = false
srtp = "off"
[recording]
announce = ""
format = "wav"
encrypt = {key = ""}
[otel]
endpoint = ""
[retention]
"""


def test_values_that_ask_for_nothing_are_taken(tmp_path: Path) -> None:
    assert read(tmp_path, HARMLESS).trunks[0].name == "a"
    assert load(None, {"CORDBOARD_SIP__TCP": "", "CORDBOARD_HTTP__ADMIN__CONSOLE": "false"}, {}) == load(None, {}, {})


def test_more_spare_workers_than_workers_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[functions]\nspare = 5\nmax_workers = 4")
    assert (error.key, error.line, error.message) == ("functions.spare", 2, "5 are more than functions.max_workers, 4")
    assert read(tmp_path, "[functions]\nspare = 4\nmax_workers = 4").functions.max_workers == 4


def test_recording_all_calls_is_refused_aloud_since_nothing_would_be_recorded(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[recording]\nmode = "all"')
    assert (error.key, error.line, error.message) == ("recording.mode", 2, "'all' is not supported yet")


def test_an_announcement_and_whom_it_is_for_are_read(tmp_path: Path) -> None:
    assert (read(tmp_path, "").recording.announce, read(tmp_path, "").recording.required_for) == ("", ())
    config = read(tmp_path, '[recording]\nannounce = "consent/us.wav"\nrequired_for = ["+1*", "/\\\\+4[49].*/"]')
    assert (config.recording.announce, config.recording.required_for) == ("consent/us.wav", ("+1*", "/\\+4[49].*/"))


def test_values_that_are_not_built_yet_say_so(tmp_path: Path) -> None:
    for key, choices in NOT_YET_VALUES.items():
        for choice in choices:
            error = refusal(tmp_path, "", flags={key: choice})
            assert (error.key, error.message) == (key, f"{choice!r} is not supported yet")
    error = refusal(tmp_path, '[[trunks]]\nname = "a"\nuri = "sip:trunk.example;transport=tls"')
    assert (error.key, error.line) == ("trunks[0].uri", 3)
    assert "not supported yet" in error.message
    assert "not supported yet" in refusal(tmp_path, '[sip]\nadvertise = "stun:stun.example"').message


def test_how_long_each_kind_is_kept_is_said(tmp_path: Path) -> None:
    kept = read(tmp_path, "").retention
    assert (kept.recordings, kept.transcripts, kept.timelines, kept.records) == (*[30 * 86_400.0] * 3, 365 * 86_400.0)
    config = read(tmp_path, '[retention]\nrecordings = "0"\ntranscripts = "36h"\nrecords = "forever"')
    assert (config.retention.recordings, config.retention.transcripts, config.retention.records) == (0, 129_600, None)


@pytest.mark.parametrize(
    ("text", "transcribes"),
    [
        ("", True),
        ("[privacy]\ntranscripts = false", False),
        ('[retention]\ntranscripts = "0"', False),
        ('[retention]\ntranscripts = "forever"\nrecords = "forever"', True),
    ],
)
def test_what_is_said_is_written_down_unless_it_is_switched_off(tmp_path: Path, text: str, transcribes: bool) -> None:
    assert read(tmp_path, text).transcribes is transcribes
    assert load(None, {"CORDBOARD_PRIVACY__TRANSCRIPTS": "false"}, {}).transcribes is False


def test_who_speaks_and_where_prompts_are(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    assert (config.speech.engine, config.speech.voice, config.speech.api_key) == ("espeak-ng", "en", None)
    assert config.media.prompts == tmp_path / "prompts"
    speech = '[speech]\nengine = "sonic"\nvoice = "a0e9-4f"\nlanguage = "de"\napi_key = {env = "KEY"}\n'
    config = read(tmp_path, speech + '[media]\nprompts = "/srv"')
    assert (config.speech.model, config.speech.voice, config.speech.language) == ("sonic-3", "a0e9-4f", "de")
    assert config.speech.api_key == SecretRef("env", "KEY")
    assert config.media.prompts == Path("/srv")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('engine = "sonic"\nvoice = "v"', "speech.api_key"),
        ('engine = "sonic"\napi_key = {secret = "K"}', "speech.voice"),
        ('engine = "piper"', "speech.engine"),
        ('voice = "-w/tmp/x"', "speech.voice"),
        ('api_key = "sk-1"', "speech.api_key"),
    ],
)
def test_speech_that_cannot_work_is_refused(tmp_path: Path, text: str, key: str) -> None:
    assert refusal(tmp_path, f"[speech]\n{text}").key == key


@pytest.mark.parametrize("longer", ['recordings = "forever"', 'timelines = "31d"'])
def test_nothing_of_a_call_outlives_its_record(tmp_path: Path, longer: str) -> None:
    error = refusal(tmp_path, f'[retention]\nrecords = "30d"\n{longer}')
    assert (error.key, error.line) == ("retention.records", 2)
    assert error.message.startswith(f"shorter than retention.{longer.split()[0]}")
    assert read(tmp_path, '[retention]\nrecords = "30d"').retention.records == 30 * 86_400.0


BAD: list[tuple[str, list[object]]] = [
    ("edge.planes", [0, -1, "all", 1.5, True, "", 257]),
    ("edge.lease", [10, "10", "10 s", "-10s", "1s", "2h", "10x", "1e3s", "٣s", ""]),
    ("edge.data_dir", [1, [], "a\x00b"]),
    ("sip.udp", ["5060", ":5060", "h:0", "h:65536", "[::1:5060", "::1:5060", "a b:1", "h:٣", 5060]),
    ("sip.advertise", ["", "edge.example", "300.0.0.1", 5]),
    ("sip.rtp.ports", ["1", "20001-20010", "80-90", "30000-20000", "20000-20000", "20000-70000", 5]),
    ("sip.rtp.bind", ["eth0", "", 0]),
    ("sip.accept", ["all", "", True, 1]),
    ("http.public.url", ["voice.example", "ftp://v", "https://", "https://v:0", "https://v:99999"]),
    ("http.public.url", ["https://v/?a=b", "https://v#f", "https://a b", 1]),
    ("http.public.signing_key", ["x", {}, {"secret": ""}, {"secret": "A", "env": "B"}, {"key": "A"}]),
    ("agents.cartesia.base_url", ["https://api.cartesia.ai", ""]),
    ("dial.allow", ["+1*", [1], ["+1*", "+1*"], ["(a+)+", "/(a+)+/"], [""], ["1"] * (MAX_LIST + 1)]),
    ("dial.max_per_call", [-1, "x", 1.0]),
    ("functions.host", ["docker", 1]),
    ("functions.timeout", ["31s", "50ms"]),
    ("log.level", ["INFO", "warn"]),
    ("recording.announce", [1, " ", "x" * 1501, "a\nb"]),
    ("recording.required_for", ["+1*", ["+1*", "+1*"], ["/(/"]]),
    ("limits.max_calls", [0, True]),
    ("limits.max_duration", ["25h", "0s"]),
    ("retention.recordings", ["never", "30", 30, 0, "59m", "0s", "36501d", "", True]),
    ("privacy.transcripts", ["no", 0, 1, ""]),
    ("privacy.journal", ["no", 0, 1, ""]),
]
BAD_VALUES = [(key, bad) for key, values in BAD for bad in values]


@pytest.mark.parametrize(("key", "bad"), BAD_VALUES)
def test_bad_values_are_refused_by_name(tmp_path: Path, key: str, bad: object) -> None:
    error = refusal(tmp_path, "", flags={key: bad})
    assert (error.file, error.key) == ("flag", key)


BAD_TABLES = [
    ('[[routes]]\nto = "*"', "routes[0]", 1, "scenario is missing"),
    ('[[routes]]\nto = "*"\nscenario = "a b"', "routes[0].scenario", 3, "no name"),
    ('[[routes]]\nto = "*"\nscenario = "s"\ntrunk = "main"', "routes[0].trunk", 4, "no trunk is named 'main'"),
    ('[[trunks]]\nuri = "sip:h"', "trunks[0]", 1, "name is missing"),
    ('[[trunks]]\nname = "a"\n\n[[trunks]]\nname = "a"', "trunks[1].name", 5, "stands twice"),
    ('[[trunks]]\nname = "a"\nidentify = ["203.0.113.1/24"]', "trunks[0].identify", 3, "host bits"),
    ('[[trunks]]\nname = "a"\ncodecs = []', "trunks[0].codecs", 3, "empty"),
    ('[[trunks]]\nname = "a"\ncodecs = ["OPUS"]', "trunks[0].codecs", 3, "not known"),
    ('[[trunks]]\nname = "a"\nuri = "sip:u@h"', "trunks[0].uri", 3, "no address"),
    ('[[trunks]]\nname = "a"\nuri = "sips:h"', "trunks[0].uri", 3, "not supported yet"),
    ('[[trunks]]\nname = "a"\nuri = "sip:h:99999"', "trunks[0].uri", 3, "no port"),
    ('[[trunks]]\nname = "a"\n[[outbound]]\nto = "*"\ntrunk = "a"', "outbound[0].trunk", 5, "no uri"),
    ('[[outbound]]\nto = "+1*0"\ntrunk = "a"', "outbound[0].to", 2, "at the end"),
    ('[routes]\nto = "*"', "routes", 1, "no array"),
    ("trunks = [1]", "trunks", 1, "no array"),
    ("sip = 5060", "sip", 1, "no table"),
    ('[sip]\nrtp = "x"', "sip.rtp", 2, "no table"),
]


@pytest.mark.parametrize(("text", "key", "line", "message"), BAD_TABLES)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, key: str, line: int, message: str) -> None:
    error = refusal(tmp_path, text)
    assert (error.file, error.key, error.line) == (str(tmp_path / "cordboard.toml"), key, line)
    assert message in error.message


def test_a_misspelt_trunk_is_answered_with_the_nearest(tmp_path: Path) -> None:
    text = '[[trunks]]\nname = "main"\n[[routes]]\nto = "*"\nscenario = "s"\ntrunk = "mian"'
    assert refusal(tmp_path, text).hint == "did you mean main?"


def test_a_secret_written_out_is_refused_and_never_repeated(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[http.public]\nsigning_key = "hunter2"')
    assert "hunter2" not in str(error)
    assert '{secret = "NAME"}' in error.hint
    error = refusal(tmp_path, '[http.public]\nurl = "ftp://user:hunter2@voice.example"')
    assert "hunter2" not in str(error)
    error = refusal(tmp_path, '[[trunks]]\nname = "a"\nauth = {username = "u", password = "hunter2"}')
    assert "hunter2" not in str(error)


BAD_FILES = [
    (b"[sip\n", 1, "is no TOML"),
    (b"\n[sip]\nudp = 1\nudp = 2\n", 4, "is no TOML"),
    (b"\xff\xfe", None, "is not UTF-8"),
    (b"a = " + b"[" * 50_000, None, "is no TOML"),
    (b"#" * (MAX_FILE + 1), None, "is larger than"),
]


@pytest.mark.parametrize(("content", "line", "message"), BAD_FILES)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, line: int | None, message: str) -> None:
    path = tmp_path / "cordboard.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load(path, {}, {})
    assert (refused.value.file, refused.value.key, refused.value.line) == (str(path), "", line)
    assert message in refused.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'none.toml'}: cannot be read: No such file")):
        load(tmp_path / "none.toml", {}, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("30m", 1_800), ("4h", 14_400), ("30d", 2_592_000), ("1.5s", 1.5), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5S", "-5s", "1_0s", "5s\n", "1.s", "5m30s", "9" * 10 + "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(sorted(load(None, {}, {}).settings)), value=VALUES, text=st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_value_is_read_or_refused_by_name(key: str, value: object, text: str) -> None:
    variable = f"CORDBOARD_{key.upper().replace('.', '__')}"
    assert refused_key({}, {key: value}) in (None, key)
    assert refused_key({variable: text}, {}) in (None, key)


def refused_key(environ: Environ, flags: Flags) -> str | None:
    try:
        load(None, environ, flags)
    except ConfigError as error:
        return error.key
    return None
