"""The keys that name things of AWS: defaults are what template.yaml makes by default."""

from pathlib import Path

import pytest

from cordboard.config.aws import AwsStorage, LambdaFunctions, S3Sink
from cordboard.config.error import ConfigError
from cordboard.config.load import load
from cordboard.config.model import Config

EVERYTHING = """\
[functions]
host = "lambda"
[functions.lambda]
region = "eu-central-1"
alias = "canary"
names = ["desk", "arn:aws:lambda:eu-west-1:123456789012:function:lobby"]
parameter = "/cordboard/prod/functions/line-agent"
[storage]
backend = "aws"
[storage.aws]
prefix = "/cordboard/prod"
table = "cordboard-prod"
region = "eu-west-1"
[recording]
sink = "s3://acme-recordings/recordings/eu"
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "cordboard.toml"
    path.write_text(text)
    return load(path, {}, {})


def test_defaults() -> None:
    config = load(None, {}, {})
    assert config.functions.aws_lambda == LambdaFunctions(None, "live", (), "/cordboard/dev/functions/line-agent")
    assert config.storage.aws == AwsStorage("/cordboard/dev", "cordboard-dev", None)
    assert config.recording.sink is None


def test_every_key(tmp_path: Path) -> None:
    config = read(tmp_path, EVERYTHING)
    assert (config.functions.host, config.storage.backend) == ("lambda", "aws")
    assert config.functions.aws_lambda == LambdaFunctions(
        "eu-central-1",
        "canary",
        ("desk", "arn:aws:lambda:eu-west-1:123456789012:function:lobby"),
        "/cordboard/prod/functions/line-agent",
    )
    assert config.storage.aws == AwsStorage("/cordboard/prod", "cordboard-prod", "eu-west-1")
    assert config.recording.sink == S3Sink("acme-recordings", "recordings/eu")


@pytest.mark.parametrize(
    ("written", "sink", "told"),
    [
        ("s3://acme", S3Sink("acme", ""), "s3://acme"),
        ("s3://acme/", S3Sink("acme", ""), "s3://acme"),
        ("s3://acme/a/b=c/", S3Sink("acme", "a/b=c"), "s3://acme/a/b=c"),
    ],
)
def test_a_place_for_recordings(tmp_path: Path, written: str, sink: S3Sink, told: str) -> None:
    found = read(tmp_path, f'[recording]\nsink = "{written}"').recording.sink
    assert (found, str(found)) == (sink, told)


def test_control_never_waits_for_aws_in_a_handler(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, '[functions]\nhost = "in_process"\n[storage]\nbackend = "aws"')
    assert (refused.value.key, refused.value.line) == ("functions.host", 2)


def test_recordings_that_are_not_kept_have_no_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, '[recording]\nsink = "s3://acme"\n[retention]\nrecordings = "0"')
    assert (refused.value.key, refused.value.line) == ("recording.sink", 2)


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("functions.lambda", 'region = "Europe"', "is no region of AWS"),
        ("functions.lambda", "region = 7", "is no text"),
        ("functions.lambda", 'alias = "12"', "is no alias"),
        ("functions.lambda", 'names = ["a:live"]', "names no function"),
        ("functions.lambda", 'parameter = "functions"', "is no path of Parameter Store"),
        ("storage.aws", 'prefix = "/aws/reserved"', "is no path of Parameter Store"),
        ("storage.aws", 'prefix = "/cordboard/"', "is no path of Parameter Store"),
        ("storage.aws", 'table = "a b"', "is no name of a table"),
        ("storage.aws", 'region = "eu-west"', "is no region of AWS"),
        ("recording", 'sink = "acme/recordings"', "is no place for recordings"),
        ("recording", 'sink = "s3://Acme"', "is no place for recordings"),
        ("recording", 'sink = "s3://acme/a//b"', "is no place for recordings"),
        ("recording", 'sink = "s3://acme/../b"', "is no place for recordings"),
    ],
)
def test_what_aws_cannot_have_is_refused_with_key_and_line(tmp_path: Path, table: str, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, f"[{table}]\n{line}")
    assert refused.value.key.partition("[")[0] == f"{table}.{line.partition(' ')[0]}"
    assert (refused.value.line, message in refused.value.message) == (2, True)
    assert refused.value.hint
