"""The admin API, `/v1` on the listener of [http.admin] (HANDLERS §2.3): start sessions, look at them, end them.

Every request brings a token with the scope that its route asks for, which is judged before all else; errors are
`application/problem+json` (RFC 9457) and name the field. What lives is asked of the engine, what has ended stands in
the calls' folders. Leaves out: event streams, content of calls, erasure, configuration, OpenAPI.
"""

import asyncio
import functools
import hashlib
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cordboard.contract.codec import DecodeError, check_json
from cordboard.edge.control.ended_calls import BadFilter, EndedCalls, Filter
from cordboard.edge.control.http import BODY_TIMEOUT, BodyTooLarge, read_body
from cordboard.edge.starts import Starts
from cordboard.edge.tokens import Scope, Token, TokenStore
from cordboard.session.intake import StartProblem, StartRefused
from cordboard.session.operations import NothingRecorded, NotLive, Operations
from cordboard.storage.interface import StorageError

MAX_BODY: Final = 16 * 1024  # bytes, as control requests have; custom_data ends below
MAX_CUSTOM_DATA: Final = 8 * 1024  # bytes of JSON: each invocation of the session carries it (VoxEngine: 200)
MAX_REASON: Final = 200  # characters of a pause's reason, which stands in the timeline
_SESSION: Final = re.compile(r"s_[0-9a-f]{24}")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")  # visible ASCII

_STATUS: Final[Mapping[StartProblem, int]] = {
    "unknown_scenario": 422,
    "not_startable": 422,
    "full": 429,
    "no_plane": 503,
    "draining": 503,
}
_RETRY_AFTER: Final = {"Retry-After": "5"}  # seconds, as a refused INVITE is told

T = TypeVar("T")
log = logging.getLogger("cordboard.admin")


class Operator(Protocol):
    """Who acts on live sessions."""

    def operate(self, act: Callable[[Operations], T]) -> T:
        """Let the engine act; raises what `act` does."""


class Problem(Exception):
    """What a request is refused with."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: str
    ) -> None:
        detail = detail.encode("utf-8", "backslashreplace").decode()  # a name in it may be half a character
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.body = {"title": code, "status": status, "code": code, "detail": detail, **more}


Handler = Callable[[Request, Token], Awaitable[Response]]


class Admin:
    """Answers the requests."""

    def __init__(self, operator: Operator, tokens: TokenStore, starts: Starts, ended: EndedCalls) -> None:
        self._operator = operator
        self._tokens = tokens
        self._starts = starts
        self._ended = ended
        self._listing = asyncio.Lock()  # a look at every folder takes a thread: one list at a time

    def app(self) -> Starlette:
        """The application."""
        routes = [
            self._route("POST", "/v1/sessions", "start", self._start),
            self._route("GET", "/v1/sessions", "read", self._list),
            self._route("GET", "/v1/sessions/{id}", "read", self._show),
            self._route("POST", "/v1/sessions/{id}/end", "control", self._end),
            self._route("POST", "/v1/sessions/{id}/recording/{what:str}", "control", self._recording),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _not_routed})

    def _route(self, method: str, path: str, scope: Scope, handler: Handler) -> Route:
        @functools.wraps(handler)
        async def answer(request: Request) -> Response:
            try:
                token = await self._holder(request, scope)
                response = await handler(request, token)
            except Problem as problem:
                response = _response(problem)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it
            except StorageError as error:
                log.error("a request to the API failed: %s", error)
                response = _response(Problem(503, "unavailable", "a file of the edge cannot be read now"))
            response.headers["Cache-Control"] = "no-store"
            return response

        return Route(path, answer, methods=[method])

    async def _holder(self, request: Request, scope: Scope) -> Token:
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        token = None
        if kind.lower() == "bearer":
            token = await asyncio.to_thread(self._tokens.check, text.strip(), time.time())
        if token is None:
            hint = "send Authorization: Bearer TOKEN; `cordboard tokens create` makes one"
            problem = "no token, or one that is unknown, revoked or expired"
            raise Problem(401, "unauthorized", problem, headers={"WWW-Authenticate": "Bearer"}, hint=hint)
        if scope not in token.scopes:
            raise Problem(403, "insufficient_scope", f"this needs the scope {scope}; the token has {_list(token)}")
        return token

    # --- start

    async def _start(self, request: Request, token: Token) -> Response:
        key = request.headers.get("idempotency-key")
        if key is not None and not _KEY.fullmatch(key):
            raise Problem(400, "bad_request", "Idempotency-Key: not 1 to 255 visible ASCII characters")
        scenario, custom_data = _wanted(await _json_body(request))
        if key is None:
            return _started(self._begin(scenario, custom_data))
        digest = hashlib.sha256(json.dumps([scenario, custom_data], sort_keys=True).encode()).hexdigest()
        claim = await asyncio.to_thread(self._starts.claim, token.id, key, digest, time.time())
        match claim.state:
            case "other_request":
                raise Problem(409, "idempotency_conflict", "Idempotency-Key: it came with another body before")
            case "unknown":
                detail = "Idempotency-Key: its request is being served, or was when the edge died"
                raise Problem(409, "idempotency_unknown", detail, hint="GET /v1/sessions tells what was started")
            case "started":
                return _started(self._again(claim.session))
            case "new":
                pass
        try:
            found = self._begin(scenario, custom_data)
        except Problem:
            await asyncio.to_thread(self._starts.refused, token.id, key)
            raise
        await asyncio.to_thread(self._starts.started, token.id, key, found["id"])
        return _started(found)

    def _begin(self, scenario: str, custom_data: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._operator.operate(lambda operations: operations.start(scenario, custom_data))
        except StartRefused as refused:
            status = _STATUS[refused.problem]
            detail = f"scenario: {refused.detail}" if status == 422 else refused.detail
            headers = None if status == 422 else _RETRY_AFTER
            raise Problem(status, refused.problem, detail, headers=headers) from None

    def _again(self, session: str) -> dict[str, Any]:
        try:
            return self._operator.operate(lambda operations: operations.started(session))
        except NotLive:
            return {"id": session, "state": "ended"}

    # --- look

    async def _list(self, request: Request, token: Token) -> Response:
        try:
            wanted = Filter.read(request.query_params)
        except BadFilter as bad:
            raise Problem(400, "bad_request", str(bad)) from None
        items: list[dict[str, Any]] = []
        if wanted.state != "ended" and wanted.cursor is None and wanted.cause is None:
            live = self._operator.operate(lambda operations: operations.live())
            items = [each for each in live if wanted.lets_live_pass(each)]
        next_: str | None = None
        if wanted.state != "live":
            async with self._listing:
                ended, next_ = await asyncio.to_thread(self._ended.page, wanted)
            known = {each["id"] for each in items}
            items += [each for each in ended if each["id"] not in known]
        return JSONResponse({"items": items, "next": next_})

    async def _show(self, request: Request, token: Token) -> Response:
        id_ = _id(request)
        try:
            return JSONResponse(self._operator.operate(lambda operations: operations.describe(id_)))
        except NotLive:
            return JSONResponse(await self._over(id_))

    async def _over(self, id_: str) -> dict[str, Any]:
        found = await asyncio.to_thread(self._ended.one, id_)
        if found is None:
            raise Problem(404, "not_found", "there is no such session", session=id_)
        return found

    # --- act

    async def _end(self, request: Request, token: Token) -> Response:
        id_ = _id(request)
        try:
            found = self._operator.operate(lambda operations: operations.end(id_))
        except NotLive:
            await self._over(id_)
            return JSONResponse({"id": id_, "state": "ended"})
        return JSONResponse(found, 202)

    async def _recording(self, request: Request, token: Token) -> Response:
        id_, what = _id(request), request.path_params["what"]
        if what not in ("pause", "resume"):
            raise Problem(404, "not_found", "a recording is paused or resumed")
        word: Literal["pause", "resume"] = what
        reason = _reason(await _json_body(request, empty=True))
        try:
            names = self._operator.operate(lambda operations: operations.record(id_, word, reason))
        except NothingRecorded:
            raise Problem(409, "nothing_recorded", "the session records nothing now", session=id_) from None
        except NotLive:
            await self._over(id_)
            raise Problem(409, "ended", "the session has ended", session=id_) from None
        return JSONResponse({"id": id_, "recordings": names})


def _started(found: Mapping[str, Any]) -> Response:
    return JSONResponse(dict(found), 201, {"Location": f"/v1/sessions/{found['id']}"})


def _id(request: Request) -> str:
    found: str = request.path_params["id"]
    if not _SESSION.fullmatch(found):
        raise Problem(404, "not_found", "there is no such session")
    return found


def _list(token: Token) -> str:
    return ", ".join(token.scopes) or "none"


async def _json_body(request: Request, *, empty: bool = False) -> dict[str, Any]:
    """The body's JSON object; with `empty` a body may be missing. Raises Problem."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await read_body(request, MAX_BODY)
    except BodyTooLarge:
        raise Problem(413, "too_large", f"at most {MAX_BODY} bytes", headers={"Connection": "close"}) from None
    except TimeoutError:
        raise Problem(408, "timeout", f"the body did not arrive within {BODY_TIMEOUT:g} s") from None
    if empty and not body:
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported_media_type", "send application/json")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad_request", f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(422, "invalid", "the body is no JSON object")
    return value


def _wanted(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(scenario, custom_data). Raises Problem that names the field."""
    unknown = sorted(set(body) - {"scenario", "custom_data"})
    if unknown:
        raise Problem(422, "invalid", f"{unknown[0][:64]}: there is no such field; there are scenario, custom_data")
    scenario, custom_data = body.get("scenario"), body.get("custom_data", {})
    if not isinstance(scenario, str) or not scenario:
        raise Problem(422, "invalid", "scenario: missing, or no text")
    if not isinstance(custom_data, dict):
        raise Problem(422, "invalid", "custom_data: no JSON object")
    try:
        check_json(custom_data, "custom_data")
        size = len(json.dumps(custom_data, ensure_ascii=False, separators=(",", ":")).encode())
    except DecodeError as error:
        raise Problem(422, "invalid", str(error)) from None
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8
        raise Problem(422, "invalid", "custom_data: holds what UTF-8 cannot carry") from None
    if size > MAX_CUSTOM_DATA:
        raise Problem(422, "invalid", f"custom_data: {size} bytes, more than {MAX_CUSTOM_DATA}")
    return scenario, custom_data


def _reason(body: Mapping[str, Any]) -> str:
    unknown = sorted(set(body) - {"reason"})
    if unknown:
        raise Problem(422, "invalid", f"{unknown[0][:64]}: there is no such field; there is reason")
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON or not reason.isprintable():
        raise Problem(422, "invalid", f"reason: no text of at most {MAX_REASON} printable characters")
    return reason


def _response(problem: Problem) -> Response:
    return JSONResponse(problem.body, problem.status, problem.headers, "application/problem+json")


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return _response(Problem(405, "method_not_allowed", "another method, perhaps", headers=error.headers))
    return _response(Problem(error.status_code, "not_found", "there is no such path"))
