"""Reads the configuration: flag before environment before file before default (HANDLERS.md 2.2).

The environment names a key as `CORDBOARD_` and its path with `__` (`CORDBOARD_SIP__UDP`); lists are written as in TOML.
Variables without `__` are no configuration. Leaves out reloading, and resolving secrets.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar

from cordboard.config import aws_values, values
from cordboard.config.aws import AwsStorage, LambdaFunctions
from cordboard.config.error import ConfigError
from cordboard.config.kept import Privacy, Recording, Retention
from cordboard.config.lines import find_line, index_lines
from cordboard.config.model import (
    AdminHttp,
    Agents,
    CartesiaAgents,
    CartesiaReceiver,
    Config,
    Dial,
    Edge,
    Functions,
    Http,
    Limits,
    Log,
    Media,
    MetricsHttp,
    Outbound,
    PublicHttp,
    Route,
    Rtp,
    SecretRef,
    Setting,
    Sip,
    Speech,
    Storage,
    Trunk,
    Webhooks,
)
from cordboard.config.not_yet import NOT_YET, NOT_YET_VALUES
from cordboard.config.toml_file import parse, read_file

DAY: Final = 86_400.0  # seconds
EMERGENCY: Final = ["000", "110", "112", "118", "119", "911", "999"]  # denied by default: nobody can call back an agent
_PREFIX: Final = "CORDBOARD_"
_ARRAYS: Final = ("trunks", "routes", "outbound")
_HOSTS: Final[tuple[Literal["in_process", "workers", "lambda"], ...]] = ("in_process", "workers", "lambda")
_ACCEPT: Final[tuple[Literal["trunks", "any"], ...]] = ("trunks", "any")
_BACKENDS: Final[tuple[Literal["sqlite", "aws"], ...]] = ("sqlite", "aws")
_ENGINES: Final[tuple[Literal["espeak-ng", "sonic"], ...]] = ("espeak-ng", "sonic")
_MODES: Final[tuple[Literal["off", "scenario", "all"], ...]] = ("off", "scenario", "all")
_FORMATS: Final[tuple[Literal["text", "json"], ...]] = ("text", "json")
_LEVELS: Final[tuple[Literal["debug", "info", "warning", "error"], ...]] = ("debug", "info", "warning", "error")

T = TypeVar("T")
_REQUIRED: Final = object()


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Config:
    """The configuration from the file (None: no file), the environment and flags.

    `overrides` maps dotted keys to values; None means that the flag was not given. Relative paths in the file and the
    defaults count from the file's folder, others from the working folder. Raises ConfigError.
    """
    return _Reader(path, environ, overrides).read()


def show(config: Config) -> list[Setting]:
    """Every value with its source, in the order of the sections. Secrets appear as references."""
    return list(config.settings.values())


class _Reader:
    def __init__(self, path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> None:
        self._path = path
        source = "" if path is None else read_file(path)
        self._file: dict[str, object] = {} if path is None else parse(path, source)
        self._lines = index_lines(source)
        self._environ = {
            name.removeprefix(_PREFIX).lower().replace("__", "."): name
            for name in environ
            if name.startswith(_PREFIX) and "__" in name
        }
        self._values = environ
        self._flags = {key: value for key, value in overrides.items() if value is not None}
        self._known: set[str] = set()
        self.settings: dict[str, Setting] = {}

    def read(self) -> Config:
        config = Config(
            edge=Edge(
                planes=self._take("edge.planes", values.planes, "auto"),
                data_dir=self._take_path("edge.data_dir", "./var"),
                lease=self._take("edge.lease", values.duration(2, 60), "10s"),  # two heartbeats of 1 s at least
            ),
            http=Http(
                public=PublicHttp(
                    listen=self._take("http.public.listen", values.endpoint, "0.0.0.0:8443"),
                    url=self._take("http.public.url", _optional(values.url("https", "http")), None),
                    signing_key=self._take("http.public.signing_key", _optional(values.secret_ref), None),
                    former_signing_keys=self._take(
                        "http.public.former_signing_keys", values.list_of(values.secret_ref), []
                    ),
                    request_key=self._take("http.public.request_key", _optional(values.secret_ref), None),
                ),
                admin=AdminHttp(self._take("http.admin.listen", values.endpoint, "127.0.0.1:8080")),
                metrics=MetricsHttp(self._take("http.metrics.listen", values.endpoint, "127.0.0.1:9090")),
            ),
            sip=Sip(
                udp=self._take("sip.udp", values.endpoint, "0.0.0.0:5060"),
                advertise=self._take("sip.advertise", values.advertise, "auto"),
                rtp=Rtp(
                    bind=self._take("sip.rtp.bind", values.address, "0.0.0.0"),
                    ports=self._take("sip.rtp.ports", values.ports, "16384-24575"),
                ),
                accept=self._take("sip.accept", values.one_of(_ACCEPT), "trunks"),
            ),
            trunks=tuple(self._trunk(at) for at in self._tables("trunks")),
            routes=tuple(self._route(at) for at in self._tables("routes")),
            outbound=tuple(self._outbound(at) for at in self._tables("outbound")),
            dial=Dial(
                allow=self._take("dial.allow", values.list_of(values.pattern), []),
                deny=self._take("dial.deny", values.list_of(values.pattern), EMERGENCY),
                max_per_call=self._take("dial.max_per_call", values.whole(0, 100), 3),
            ),
            functions=Functions(
                host=self._take("functions.host", values.one_of(_HOSTS), "workers"),
                template=self._take_path("functions.template", "template.yaml"),
                timeout=self._take("functions.timeout", values.duration(0.1, 30), "5s"),  # a parked event lives 30 s
                spare=self._take("functions.spare", values.whole(0, 64), 1),
                max_workers=self._take("functions.max_workers", values.whole(1, 256), 32),  # each is a Python process
                aws_lambda=LambdaFunctions(
                    region=self._take("functions.lambda.region", _optional(aws_values.region), None),
                    alias=self._take("functions.lambda.alias", aws_values.lambda_alias, "live"),
                    names=self._take("functions.lambda.names", values.list_of(aws_values.lambda_name), []),
                    parameter=self._take(  # as template.yaml has it with its own defaults
                        "functions.lambda.parameter", aws_values.parameter, "/cordboard/dev/functions/line-agent"
                    ),
                ),
            ),
            agents=Agents(
                CartesiaAgents(
                    base_url=self._take("agents.cartesia.base_url", values.url("wss", "ws"), "wss://api.cartesia.ai"),
                    connect_timeout=self._take("agents.cartesia.connect_timeout", values.duration(0.1, 30), "5s"),
                    access_token=self._take("agents.cartesia.access_token", values.boolean, True),
                )
            ),
            speech=Speech(
                engine=self._take("speech.engine", values.one_of(_ENGINES), "espeak-ng"),
                voice=self._take("speech.voice", values.voice, "en"),
                model=self._take("speech.model", values.text, "sonic-3"),
                language=self._take("speech.language", values.text, ""),
                api_key=self._take("speech.api_key", _optional(values.secret_ref), None),
            ),
            media=Media(prompts=self._take_path("media.prompts", "prompts")),
            webhooks=Webhooks(CartesiaReceiver(self._webhook_secrets("webhooks.cartesia"))),
            storage=Storage(
                backend=self._take("storage.backend", values.one_of(_BACKENDS), "sqlite"),
                aws=AwsStorage(
                    prefix=self._take("storage.aws.prefix", aws_values.parameter, "/cordboard/dev"),
                    table=self._take("storage.aws.table", aws_values.table, "cordboard-dev"),
                    region=self._take("storage.aws.region", _optional(aws_values.region), None),
                ),
            ),
            recording=Recording(
                mode=self._take("recording.mode", values.one_of(_MODES), "scenario"),
                announce=self._take("recording.announce", values.prompt, ""),
                required_for=self._take("recording.required_for", values.list_of(values.pattern), []),
                sink=self._take("recording.sink", aws_values.sink, ""),
            ),
            retention=Retention(
                recordings=self._take("retention.recordings", values.retention, "30d"),
                transcripts=self._take("retention.transcripts", values.retention, "30d"),
                timelines=self._take("retention.timelines", values.retention, "30d"),
                records=self._take("retention.records", values.retention, "365d"),
            ),
            privacy=Privacy(
                transcripts=self._take("privacy.transcripts", values.boolean, True),
                journal=self._take("privacy.journal", values.boolean, True),
            ),
            limits=Limits(
                max_calls=self._take("limits.max_calls", values.whole(1, 100_000), 200),
                max_duration=self._take("limits.max_duration", values.duration(1, DAY), "4h"),
                no_answer=self._take("limits.no_answer", values.duration(1, 300), "60s"),
                idle_session=self._take("limits.idle_session", values.duration(1, DAY), "60s"),
            ),
            log=Log(
                format=self._take("log.format", values.one_of(_FORMATS), "json"),
                level=self._take("log.level", values.one_of(_LEVELS), "info"),
            ),
            settings=self.settings,
        )
        self._refuse_unknown()
        self._check_references(config)
        return config

    def _webhook_secrets(self, at: str) -> tuple[SecretRef, ...]:
        found = self._take(f"{at}.secrets", _optional(values.webhook_secrets), None)
        webhooks = self._file.get("webhooks")
        if found is None and isinstance(webhooks, dict) and "cartesia" in webhooks:
            hint = 'add secrets = [{secret = "CARTESIA_WEBHOOK_SECRET"}]'
            raise self._error(f"{at}.secrets", "is missing: anyone could send", hint)
        return found or ()

    def _trunk(self, at: str) -> Trunk:
        return Trunk(
            name=self._take(f"{at}.name", values.name, _REQUIRED),
            uri=self._take(f"{at}.uri", _optional(values.trunk_uri), None),
            identify=self._take(f"{at}.identify", values.list_of(values.network), []),
            codecs=self._take(f"{at}.codecs", _codecs, ["PCMA", "PCMU"]),
            max_calls=self._take(f"{at}.max_calls", _optional(values.whole(0, 100_000)), None),
        )

    def _route(self, at: str) -> Route:
        return Route(
            to=self._take(f"{at}.to", values.pattern, _REQUIRED),
            trunk=self._take(f"{at}.trunk", _optional(values.name), None),
            scenario=self._take(f"{at}.scenario", values.name, _REQUIRED),
            max_calls=self._take(f"{at}.max_calls", _optional(values.whole(0, 100_000)), None),
        )

    def _outbound(self, at: str) -> Outbound:
        return Outbound(
            to=self._take(f"{at}.to", values.pattern, _REQUIRED),
            trunk=self._take(f"{at}.trunk", values.name, _REQUIRED),
        )

    def _tables(self, key: str) -> list[str]:
        found = self._file.get(key, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            raise self._error(key, "is no array of tables", f"write [[{key}]] above its keys")
        if len(found) > values.MAX_LIST:
            raise self._error(key, f"has {len(found)} entries", f"the limit is {values.MAX_LIST}")
        return [f"{key}[{index}]" for index in range(len(found))]

    def _take_path(self, key: str, default: str) -> Path:
        path = Path(self._take(key, values.text, default))
        written_in_file = self.settings[key].source not in ("flag", f"env {self._environ.get(key)}")
        return self._path.parent / path if self._path is not None and written_in_file else path

    def _take(self, key: str, parse: Callable[[object], T], default: object) -> T:
        self._known.add(re.sub(r"\[\d+\]", "", key))
        value, source = self._look_up(key, default)
        if value is _REQUIRED:
            table, _, last = key.rpartition(".")
            raise self._error(table, f"{last} is missing", f"add {last} = …")
        self.settings[key] = Setting(key, value, source)
        if isinstance(value, str) and value in NOT_YET_VALUES.get(key, ()):
            raise self._error(key, f"{value!r} is not supported yet", "docs/status.md says what works today")
        try:
            return parse(value)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            raise self._error(key, message, hint or "see the configuration reference") from None

    def _look_up(self, key: str, default: object) -> tuple[object, str]:
        if key in self._flags:
            return _as_written(self._flags[key], default), "flag"
        if name := self._environ.get(key):
            return _as_written(self._values[name], default), f"env {name}"
        found: object = self._file
        for part in re.findall(r"[^.\[\]]+", key):
            if isinstance(found, list):
                found = found[int(part)]
            elif isinstance(found, dict):
                if part not in found:
                    return default, "default"
                found = found[part]
            else:
                parent = key.rpartition(".")[0]
                raise self._error(parent, "is no table", f"write [{parent}] above its keys")
        line = find_line(self._lines, key)
        return found, f"{self._path}" + ("" if line is None else f":{line}")

    def _refuse_unknown(self) -> None:
        for key, value in _leaves(self._file, "", self._known | NOT_YET.keys()):
            self._refuse(key, value)
        for key in self._environ:
            if key.split(".")[0] in _ARRAYS:
                raise self._error(key, "tables in an array are not read from the environment", "put it into the file")
            self._refuse(key, _as_written(self._values[self._environ[key]], []))
        for key, value in self._flags.items():
            self._refuse(key, value)

    def _refuse(self, key: str, value: object) -> None:
        plain = re.sub(r"\[\d+\]", "", key)
        if plain in self._known:
            return
        for known, harmless in NOT_YET.items():
            if plain == known and value in harmless:
                return
            if plain == known or plain.startswith(known + "."):
                raise self._error(key, "is not supported yet", "leave it out; docs/status.md says what works today")
        every = sorted(self._known | NOT_YET.keys())
        table, _, last = plain.rpartition(".")
        siblings = [other.removeprefix(table + ".") for other in every if other.startswith(table + ".")]
        near = [f"{table}.{other}" for other in difflib.get_close_matches(last, siblings, 1)]
        near = near or difflib.get_close_matches(plain, every, 1)
        raise self._error(
            key, "is not known", f"did you mean {near[0]}?" if near else "cordboard config show lists every key"
        )

    def _check_references(self, config: Config) -> None:
        names = [trunk.name for trunk in config.trunks]
        for index, trunk in enumerate(config.trunks):
            if trunk.name in names[:index]:
                raise self._error(
                    f"trunks[{index}].name", f"{trunk.name!r} stands twice", "give each trunk its own name"
                )
        references = [(f"routes[{index}].trunk", route.trunk) for index, route in enumerate(config.routes)]
        references += [(f"outbound[{index}].trunk", outbound.trunk) for index, outbound in enumerate(config.outbound)]
        for key, name in references:
            if name is not None and name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"did you mean {near[0]}?" if near else "add it under [[trunks]]"
                raise self._error(key, f"no trunk is named {name!r}", hint)
        if config.functions.spare > config.functions.max_workers:
            more = f"{config.functions.spare} are more than functions.max_workers, {config.functions.max_workers}"
            raise self._error("functions.spare", more, "keep fewer spare workers, or allow more workers")
        self._check_retention(config.retention)
        if config.functions.host == "in_process" and config.storage.backend == "aws":
            raise self._error("functions.host", "'in_process' would stop all calls for AWS", "use workers or lambda")
        if config.recording.sink is not None and config.retention.recordings == 0:
            raise self._error("recording.sink", "recordings are not kept, says retention.recordings", "leave one out")
        if config.speech.engine == "sonic":
            self._check_sonic(config)
        for index, outbound in enumerate(config.outbound):
            if config.trunk(outbound.trunk).uri is None:
                raise self._error(f"outbound[{index}].trunk", f"{outbound.trunk!r} has no uri", "add uri to the trunk")

    def _check_sonic(self, config: Config) -> None:
        if config.speech.api_key is None:
            raise self._error("speech.api_key", "is missing for sonic", 'add api_key = {secret = "CARTESIA_API_KEY"}')
        if self.settings["speech.voice"].source == "default":
            raise self._error("speech.voice", "is missing for sonic", "add the id of one of Cartesia's voices")

    def _check_retention(self, kept: Retention) -> None:
        """With the record of a call goes everything else of it, so it must be the last."""
        for name in ("recordings", "transcripts", "timelines"):
            seconds: float | None = getattr(kept, name)
            if kept.records is not None and (seconds is None or seconds > kept.records):
                longer = f"shorter than retention.{name}, and nothing of a call outlives its record"
                raise self._error("retention.records", longer, f"keep records as long as {name}, or {name} less long")

    def _error(self, key: str, message: str, hint: str) -> ConfigError:
        if key in self._flags:
            return ConfigError("flag", key, None, message, hint)
        if key in self._environ:
            return ConfigError(self._environ[key], key, None, message, hint)
        file = None if self._path is None else str(self._path)
        return ConfigError(file, key, find_line(self._lines, key), message, hint)


def _optional(parse: Callable[[object], T]) -> Callable[[object], T | None]:
    return lambda value: None if value is None else parse(value)


def _codecs(value: object) -> tuple[str, ...]:
    found = values.list_of(values.one_of(values.CODECS))(value)
    if not found:
        raise ValueError(f"the list is empty; write some of: {', '.join(values.CODECS)}")
    return found


def _as_written(value: object, default: object) -> object:
    """Text from a flag or the environment as TOML where a list or table belongs; else as it is."""
    if isinstance(value, str) and (isinstance(default, list) or value.startswith("{")):
        try:
            return tomllib.loads(f"value = {value}")["value"] if "\n" not in value else value
        except tomllib.TOMLDecodeError:
            return value
    return value


def _leaves(table: Mapping[str, object], at: str, whole: set[str]) -> Iterator[tuple[str, object]]:
    """Every key with its value; tables are entered unless `whole` names them, and empty ones are nothing."""
    for name, value in table.items():
        key = f"{at}.{name}" if at else name
        if re.sub(r"\[\d+\]", "", key) in whole:
            yield key, value
        elif isinstance(value, dict) and (value or any(known.startswith(f"{key}.") for known in whole)):
            yield from _leaves(value, key, whole)
        elif key in _ARRAYS and isinstance(value, list):
            for index, entry in enumerate(value):
                yield from _leaves(entry, f"{key}[{index}]", whole)
        else:
            yield key, value
