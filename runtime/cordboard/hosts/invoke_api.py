"""The Invoke endpoint of AWS Lambda in front of functions on this machine: boto3 and `aws lambda invoke` speak to it.

Follows the Lambda API 2015-03-31: `POST /2015-03-31/functions/{name}/invocations` and `GET …/aliases/{alias}`; errors
are told as Lambda tells them. A version is the number of a release; the newest few are kept for who still holds one.
Leaves out signatures (listen on loopback alone), event invocations, log tails, the rest of the API.
"""

import json
from collections import OrderedDict
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cordboard.contract.records import MAX_REQUEST

from .errors import AnswerTooLarge, FunctionCrashed, FunctionError, FunctionTimeout, NoSuchFunction, RequestTooLarge
from .host import FunctionHost

PREFIX: Final = "/2015-03-31/functions"
ALIAS: Final = "live"
KEPT: Final = 4  # releases; a session that holds an older one has lived through four deployments
TIMEOUT: Final = 30.0  # seconds of one invocation, the longest round a handler may ask for


class InvokeApi:
    """The ASGI app over a started host; `reload()` before a deployment shall be seen."""

    def __init__(self, host: FunctionHost, *, timeout: float = TIMEOUT) -> None:
        self._host = host
        self._timeout = timeout
        self._held: OrderedDict[str, str] = OrderedDict()
        """Version number → release id, the newest last."""
        self.app = Starlette(
            routes=[
                Route(f"{PREFIX}/{{name}}/invocations", self._invoke, methods=["POST"]),
                Route(f"{PREFIX}/{{name}}/aliases/{{alias}}", self._alias, methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Give all releases back to the host."""
        while self._held:
            self._host.done(self._held.popitem()[1])

    def _current(self) -> str:
        """The version of the host's current release, which is held from now on."""
        release = self._host.current.id
        number = str(int(release, 16))
        if number not in self._held:
            self._host.retain(release)
            self._held[number] = release
            if len(self._held) > KEPT:
                self._host.done(self._held.popitem(last=False)[1])
        return number

    async def _alias(self, request: Request) -> Response:
        name, alias = request.path_params["name"], request.path_params["alias"]
        if alias != ALIAS or name not in self._host.current.functions:
            return _error(404, "ResourceNotFoundException", f"Cannot find alias {alias} of function {name}")
        number = self._current()
        arn = f"arn:aws:lambda:local:000000000000:function:{name}:{alias}"
        return _json(200, {"AliasArn": arn, "Name": alias, "FunctionVersion": number, "RevisionId": number})

    async def _invoke(self, request: Request) -> Response:
        name = request.path_params["name"]
        qualifier = request.query_params.get("Qualifier", ALIAS)
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        number = self._current() if qualifier in (ALIAS, "$LATEST") else qualifier
        release = self._held.get(number)
        if release is None:
            return _error(404, "ResourceNotFoundException", f"Function {name} has no version {qualifier[:40]}")
        if kind not in ("RequestResponse", "DryRun"):
            return _error(400, "InvalidParameterValueException", f"InvocationType {kind[:40]} is not served here")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_REQUEST:
                return _error(413, "RequestTooLargeException", f"Request must be smaller than {MAX_REQUEST} bytes")
        try:
            payload = json.loads(body or b"{}")
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            return _error(400, "InvalidRequestContentException", "Could not parse request body into json: no object")
        if kind == "DryRun":
            return Response(status_code=204)
        headers = {"X-Amz-Executed-Version": number}
        try:
            answer = await self._host.invoke(release, name, payload, timeout=self._timeout)
        except NoSuchFunction:
            return _error(404, "ResourceNotFoundException", f"Function not found: {name}")
        except RequestTooLarge as error:
            return _error(413, "RequestTooLargeException", str(error))
        except FunctionError as error:
            return _json(200, self._fault(error), {**headers, "X-Amz-Function-Error": "Unhandled"})
        return _json(200, answer, headers)

    def _fault(self, error: FunctionError) -> dict[str, str]:
        match error:
            case FunctionTimeout():
                return {
                    "errorType": "Sandbox.Timedout",
                    "errorMessage": f"Task timed out after {self._timeout:.2f} seconds",
                }
            case FunctionCrashed():
                return {"errorType": "Runtime.ExitError", "errorMessage": error.message}
            case AnswerTooLarge():
                return {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": error.message}
            case _:
                return {"errorType": "Runtime.Error", "errorMessage": error.message}


def _json(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(body, status, headers, media_type="application/json")


def _error(status: int, code: str, message: str) -> Response:
    return _json(status, {"Type": "User", "Message": message}, {"x-amzn-errortype": code})
