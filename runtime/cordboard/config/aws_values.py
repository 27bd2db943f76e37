"""How each name of AWS in the configuration is read; as `values`, for what stands in `aws`."""

import re
from typing import Final

from cordboard.config.aws import S3Sink
from cordboard.config.values import text

_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}")
_PARAMETER: Final = re.compile(r"(?=.{1,900}$)(?:/[A-Za-z0-9_.-]+){1,13}")  # 15 levels less `secrets` and a name
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_ALIAS: Final = re.compile(r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}")
_FUNCTION: Final = re.compile(r"(?:arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3 user guide, general purpose bucket naming rules
_KEY_PREFIX: Final = re.compile(r"(?=.{1,512}$)[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")  # leaves room in 1,024 bytes


def region(value: object) -> str:
    """A region of AWS."""
    found = text(value)
    if not _REGION.fullmatch(found):
        raise ValueError(f"{found!r} is no region of AWS; write it as eu-west-1")
    return found


def parameter(value: object) -> str:
    """A path of Parameter Store, as its names and hierarchies allow."""
    found = text(value)
    if not _PARAMETER.fullmatch(found) or found.split("/")[1].lower().startswith(("aws", "ssm")):
        raise ValueError(f"{found!r} is no path of Parameter Store; write it as /cordboard/prod")
    return found


def table(value: object) -> str:
    """A table of DynamoDB."""
    found = text(value)
    if not _TABLE.fullmatch(found):
        raise ValueError(f"{found!r} is no name of a table; use 3 to 255 letters, digits and _ . -")
    return found


def lambda_alias(value: object) -> str:
    """An alias of Lambda functions."""
    found = text(value)
    if not _ALIAS.fullmatch(found):
        raise ValueError(f"{found!r} is no alias; use letters, digits, - and _, not digits alone")
    return found


def lambda_name(value: object) -> str:
    """A Lambda function by name or ARN, without version or alias."""
    found = text(value)
    if not _FUNCTION.fullmatch(found):
        raise ValueError(f"{found!r} names no function; write its name or ARN, without version or alias")
    return found


def sink(value: object) -> S3Sink | None:
    """`s3://bucket/prefix`; empty for none."""
    found = text(value)
    if not found:
        return None
    bucket, _, prefix = found.removeprefix("s3://").rstrip("/").partition("/")
    good = found.startswith("s3://") and _BUCKET.fullmatch(bucket) and (not prefix or _KEY_PREFIX.fullmatch(prefix))
    if not good or ".." in found:
        raise ValueError(f"{found!r} is no place for recordings; write it as s3://bucket/recordings")
    return S3Sink(bucket, prefix)
