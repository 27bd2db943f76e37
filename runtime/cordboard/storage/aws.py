"""What all clients of AWS share: the region. What the stores share: short time-outs, AWS's errors in this room's words.

Leaves out which credentials are used: boto3's usual chain (role, environment, profile). No text holds one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cordboard.storage.interface import StorageUnavailable

if TYPE_CHECKING:
    from botocore.config import Config

TIMEOUT: Final = 0.5  # seconds to connect, and between bytes: a storage step has one second in a handler's round
ATTEMPTS: Final = 2  # of one request; a third would not fit into that second

_HINTS: Final = {
    "ResourceNotFoundException": "it is not there in this region; check the name and the region",
    "AccessDeniedException": "the role may not do this; see the policies in template.yaml",
    "UnrecognizedClientException": "the credentials are not of this account or region",
    "ExpiredTokenException": "the credentials have expired; sign in again",
    "ProvisionedThroughputExceededException": "the table is throttled; try again, or give it more capacity",
    "ThrottlingException": "AWS throttles the requests; try again",
    "RequestLimitExceeded": "AWS throttles the requests; try again",
}


class RegionUnknown(StorageUnavailable):
    """Neither configuration nor environment names a region."""


def known_region(configured: str | None) -> str:
    """The configured region, or AWS_REGION, or what boto3 itself looks at: AWS_DEFAULT_REGION, then the profile.

    AWS_REGION is what ECS's agents, Lambda and other SDKs go by; boto3 alone does not read it. Raises RegionUnknown,
    BotoCoreError for a profile that cannot be read.
    """
    from botocore.session import Session

    found = configured or os.environ.get("AWS_REGION") or Session().get_config_variable("region")
    if not found:
        raise RegionUnknown(
            "no region of AWS is known; set AWS_REGION, or region in [storage.aws] and [functions.lambda]"
        )
    return str(found)


def client_config() -> Config:
    """Time-outs and retries of every client here."""
    from botocore.config import Config

    return Config(
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )


@contextmanager
def speaking_of(what: str) -> Iterator[None]:
    """Whatever botocore raises becomes StorageUnavailable, with the service's code and what to do."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except RegionUnknown as error:
        raise RegionUnknown(f"{what}: {error}") from None
    except ClientError as error:
        code = error_code(error)
        hint = _HINTS.get(code, "see the service's message in CloudTrail")
        raise StorageUnavailable(f"{what}: {code}; {hint}") from None
    except BotoCoreError as error:  # no credentials, no region, no network; its text names no secret
        raise StorageUnavailable(f"{what}: {error}") from None


def error_code(error: Any) -> str:
    """`ParameterNotFound` and the like."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))
