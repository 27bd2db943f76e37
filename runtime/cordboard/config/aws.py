"""What of AWS the configuration names: functions, tables, parameters, a place for recordings. `aws_values` reads it.

No key or credential stands here: boto3 finds its own (role, environment, profile).
"""

from dataclasses import dataclass


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
