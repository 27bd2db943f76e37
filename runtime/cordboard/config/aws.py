"""What of AWS the configuration names: functions, tables, parameters, a place for recordings; and how each is read.

A parser takes what TOML, a flag or the environment gives, and raises ValueError with what is wrong and, after a
semicolon, what to write. No key or credential stands here: boto3 finds its own (role, environment, profile).
"""

import re
from dataclasses import dataclass
from typing import Final

_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}")
_PARAMETER: Final = re.compile(r"(?=.{1,900}$)(?:/[A-Za-z0-9_.-]+){1,13}")  # 15 levels less `secrets` and a name
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_ALIAS: Final = re.compile(r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}")
_FUNCTION: Final = re.compile(r"(?:arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3 user guide, general purpose bucket naming rules
_KEY_PREFIX: Final = re.compile(r"(?=.{1,512}$)[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")  # leaves room in 1,024 bytes


@dataclass(frozen=True, slots=True)
class LambdaFunctions:
    """[functions.lambda]: which functions of AWS Lambda, where host = "lambda"."""

    region: str | None
    """None: the environment's."""
    alias: str
    """Whose version new calls take."""
    names: tuple[str, ...]
    """Names or ARNs of the functions; empty: `parameter` says them."""
    parameter: str
    """A StringList of Parameter Store, which template.yaml writes."""


@dataclass(frozen=True, slots=True)
class AwsStorage:
    """[storage.aws]"""

    prefix: str
    """Path of Parameter Store; secrets stand at `{prefix}/secrets/NAME`."""
    table: str
    """DynamoDB table of ApplicationStorage."""
    region: str | None
    """None: the environment's."""


@dataclass(frozen=True, slots=True)
class S3Sink:
    """A place in S3 that finished recordings are copied to."""

    bucket: str
    """Its name."""
    prefix: str
    """Of every key, without slashes at its ends; may be empty."""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text; put it in quotes")
    return value


def region(value: object) -> str:
    """A region of AWS."""
    found = _text(value)
    if not _REGION.fullmatch(found):
        raise ValueError(f"{found!r} is no region of AWS; write it as eu-west-1")
    return found


def parameter(value: object) -> str:
    """A path of Parameter Store, as its names and hierarchies allow."""
    found = _text(value)
    if not _PARAMETER.fullmatch(found) or found.split("/")[1].lower().startswith(("aws", "ssm")):
        raise ValueError(f"{found!r} is no path of Parameter Store; write it as /cordboard/prod")
    return found


def table(value: object) -> str:
    """A table of DynamoDB."""
    found = _text(value)
    if not _TABLE.fullmatch(found):
        raise ValueError(f"{found!r} is no name of a table; use 3 to 255 letters, digits and _ . -")
    return found


def lambda_alias(value: object) -> str:
    """An alias of Lambda functions."""
    found = _text(value)
    if not _ALIAS.fullmatch(found):
        raise ValueError(f"{found!r} is no alias; use letters, digits, - and _, not digits alone")
    return found


def lambda_name(value: object) -> str:
    """A Lambda function by name or ARN, without version or alias."""
    found = _text(value)
    if not _FUNCTION.fullmatch(found):
        raise ValueError(f"{found!r} names no function; write its name or ARN, without version or alias")
    return found


def sink(value: object) -> S3Sink | None:
    """`s3://bucket/prefix`; empty for none."""
    found = _text(value)
    if not found:
        return None
    bucket, _, prefix = found.removeprefix("s3://").rstrip("/").partition("/")
    good = found.startswith("s3://") and _BUCKET.fullmatch(bucket) and (not prefix or _KEY_PREFIX.fullmatch(prefix))
    if not good or ".." in found:
        raise ValueError(f"{found!r} is no place for recordings; write it as s3://bucket/recordings")
    return S3Sink(bucket, prefix)
