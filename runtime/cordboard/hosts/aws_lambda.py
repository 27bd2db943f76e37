"""Functions on AWS Lambda: one Invoke a round, of the version that the session's release names.

Follows the Lambda API 2015-03-31 and reference serverless §2. Every Invoke is one attempt (the edge decides about a
second one) and runs in a thread of its function's own, so that no slow answer holds up control, nor the rounds of other
functions. A release is the set of versions that an alias points to; functions of two deployments are told apart by the
stamp in their descriptions. Leaves out: weighted aliases (a canary would give one call two codes), event invocations,
log tails.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cordboard.contract.records import MAX_ANSWER, Description
from cordboard.storage.aws import RegionUnknown, known_region

from .errors import (
    AnswerTooLarge,
    FunctionCrashed,
    FunctionError,
    FunctionRaised,
    FunctionThrottled,
    FunctionTimeout,
    NoSuchFunction,
    ReleaseError,
)
from .host import ReleasingHost, read_answer

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_lambda import LambdaClient

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = (
    60.0  # seconds; above a function's longest round (30 s), so that the function is judged, not the wire
)
MAX_AT_ONCE: Final = 32  # invocations of one function in flight, a thread each; further ones wait within their time
MAX_IDLE: Final = 64  # connections kept open

_THROTTLED: Final = {"TooManyRequestsException", "EC2ThrottledException", "ThrottlingException"}
_CRASHED: Final = {
    "ServiceException",
    "EC2UnexpectedException",
    "ENILimitReachedException",
    "ResourceNotReadyException",
}


@dataclass(frozen=True, slots=True)
class Published:
    """The versions that an alias of each function points to."""

    versions: Mapping[str, str]
    """Function name → version number."""

    @property
    def id(self) -> str:
        """12 hex digits of a hash over names and versions."""
        return hashlib.sha256(json.dumps(dict(self.versions), sort_keys=True).encode()).hexdigest()[:12]

    def names(self) -> tuple[str, ...]:
        """Names of the functions."""
        return tuple(self.versions)

    def remove(self) -> None:
        """Nothing was taken."""


class LambdaHost(ReleasingHost[Published]):
    """A FunctionHost over AWS Lambda. `names` is asked anew for each release (Parameter Store, or a fixed list)."""

    def __init__(
        self,
        names: Callable[[], Sequence[str]],
        *,
        alias: str = "live",
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        """`endpoint_url`: another Invoke endpoint than AWS's. Raises ReleaseError without a region."""
        super().__init__()
        self._names = names
        self._alias = alias
        self._client = _client(region, endpoint_url)
        self._threads: dict[str, ThreadPoolExecutor] = {}

    async def close(self) -> None:
        """End; invocations in flight are forgotten, AWS finishes them."""
        await super().close()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._client.close)

    def _take(self) -> Published:
        versions = {}
        for name in self._names():
            versions[name] = self._version(name)
        if not versions:
            raise ReleaseError("no function is named: deploy the template, or set functions.lambda.names")
        return Published(versions)

    def _version(self, name: str) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._client.get_alias(FunctionName=name, Name=self._alias)
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                raise ReleaseError(f"function {name!r} has no alias {self._alias!r} in this region") from None
            raise ReleaseError(f"alias {self._alias!r} of {name!r}: {_code(error)}; {_advice(_code(error))}") from None
        except BotoCoreError as error:
            raise ReleaseError(f"alias {self._alias!r} of {name!r}: {error}") from None
        if found.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            raise ReleaseError(f"alias {self._alias!r} of {name!r} is split between versions; a call takes one")
        version = str(found["FunctionVersion"])
        if version == "$LATEST":  # its code changes in the middle of a call, and no release id would tell
            raise ReleaseError(
                f"alias {self._alias!r} of {name!r} points to $LATEST, which is no release; "
                "publish a version, and point the alias to it (AutoPublishAlias does both)"
            )
        return version

    def _check(self, functions: Mapping[str, Description]) -> None:
        stamps = {name: each.release for name, each in functions.items() if each.release}
        if len(set(stamps.values())) > 1:
            told = ", ".join(f"{name} {stamp}" for name, stamp in sorted(stamps.items()))
            raise ReleaseError(f"the functions are of different deployments ({told}); is one under way?")

    def _open(self, code: Published) -> _Versions:
        return _Versions(code.versions, self._client, self._threads_of)

    def _threads_of(self, function: str) -> Executor:
        """They stay when a release goes: what hangs in an old version counts against the new one's too."""
        threads = self._threads.get(function)
        if threads is None:
            threads = self._threads[function] = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="lambda")
        return threads


def names_in_parameter(parameter: str, region: str | None) -> Callable[[], Sequence[str]]:
    """Reads names from a StringList of Parameter Store, anew each time. What it returns raises ReleaseError."""

    def names() -> Sequence[str]:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = boto3.client("ssm", region_name=known_region(region), config=_config())
            try:
                found = client.get_parameter(Name=parameter)["Parameter"]
            finally:
                client.close()
        except ClientError as error:
            if _code(error) == "ParameterNotFound":
                raise ReleaseError(f"parameter {parameter} is not there: deploy the template first") from None
            raise ReleaseError(f"parameter {parameter}: {_code(error)}; allow the role ssm:GetParameter") from None
        except (BotoCoreError, RegionUnknown) as error:
            raise ReleaseError(f"parameter {parameter}: {error}") from None
        return [name.strip() for name in str(found.get("Value", "")).split(",") if name.strip()]

    return names


class _Versions:
    def __init__(
        self, versions: Mapping[str, str], client: LambdaClient, threads_of: Callable[[str], Executor]
    ) -> None:
        self._versions = versions
        self._client = client
        self._threads_of = threads_of

    async def invoke(self, function: str, body: bytes, timeout: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                return await loop.run_in_executor(self._threads_of(function), self._invoke, function, body)
        except TimeoutError as error:
            raise FunctionTimeout(function, f"no answer within {timeout:g} s") from error

    async def close(self) -> None:
        """Versions stay where they are."""

    def _invoke(self, function: str, body: bytes) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke(
                FunctionName=function,
                Qualifier=self._versions[function],
                InvocationType="RequestResponse",
                Payload=body,
            )
            payload = answer["Payload"].read(MAX_ANSWER + 1)
            answer["Payload"].close()
        except ClientError as error:
            raise _refused(function, error) from None
        except BotoCoreError as error:
            raise _unreachable(function, error) from None
        if answer.get("FunctionError"):
            _fault(function, payload)
        if len(payload) > MAX_ANSWER:
            raise AnswerTooLarge(function, f"the answer has more than {MAX_ANSWER} bytes")
        return read_answer(function, payload)


def _config() -> Config:
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 1},  # a second attempt is the edge's to fence
        max_pool_connections=MAX_IDLE,
        tcp_keepalive=True,
    )


def _client(region: str | None, endpoint_url: str | None) -> LambdaClient:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("lambda", region_name=known_region(region), endpoint_url=endpoint_url, config=_config())
    except (BotoCoreError, RegionUnknown, ValueError) as error:  # ValueError: an endpoint that is no address
        raise ReleaseError(f"AWS Lambda: {error}") from None


def _fault(function: str, payload: bytes) -> NoReturn:
    """X-Amz-Function-Error: the function ran, or could not. Raises FunctionError kinds."""
    try:
        told = json.loads(payload)
    except ValueError:
        told = {}
    kind = str(told.get("errorType", "")) if isinstance(told, dict) else ""
    text = str(told.get("errorMessage", ""))[:2_000] if isinstance(told, dict) else ""
    if kind == "Sandbox.Timedout" or "Task timed out after" in text:
        raise FunctionTimeout(function, text or "its own Timeout ended it")
    if kind in ("Runtime.ExitError", "Runtime.OutOfMemory", "Runtime.Unknown", "Extension.Crash"):
        raise FunctionCrashed(function, f"{kind}: {text}")
    if kind == "Function.ResponseSizeTooLarge":
        raise AnswerTooLarge(function, text)
    raise FunctionRaised(function, f"{kind or 'Unknown'}: {text}")


def _refused(function: str, error: Any) -> FunctionError:
    code = _code(error)
    if code in _THROTTLED:
        return FunctionThrottled(function, f"{code}; give it reserved concurrency, or ask for a higher quota")
    if code == "ResourceNotFoundException":
        return NoSuchFunction(function, "its version is not there any more")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _CRASHED or status >= 500:
        return FunctionCrashed(function, f"{code} (HTTP {status})")
    return FunctionRaised(function, f"{code}; {_advice(code)}")


def _unreachable(function: str, error: Any) -> FunctionError:
    name = type(error).__name__
    if "Timeout" in name:
        return FunctionTimeout(function, name)
    if name in ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "SSOTokenLoadError"):
        return FunctionRaised(function, f"{error}; give the edge a role")
    return FunctionCrashed(function, f"{name}: the endpoint cannot be reached")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _advice(code: str) -> str:
    match code:
        case "AccessDeniedException":
            return "allow the edge's role lambda:InvokeFunction and lambda:GetAlias on it"
        case "ExpiredTokenException" | "UnrecognizedClientException":
            return "renew the edge's credentials, or check the region"
        case _:
            return "see the function's settings"
