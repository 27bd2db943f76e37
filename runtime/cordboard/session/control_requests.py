"""Requests to control URLs: the token is checked before all else, then rate, method, size and type (HANDLERS §2.3)."""

import json
from collections.abc import Mapping

from cordboard.contract.events import HttpRequest

from .capabilities import TAKEN_OVER
from .control_url import MAX_BODY
from .effects import ReplyHttp
from .request_signature import HEADER
from .services import Services
from .session import Session

HIDDEN_HEADERS = frozenset({
    "host", "content-length", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "forwarded",
    "x-forwarded-for", "x-real-ip",
})  # fmt: skip
"""Request headers that are the connection's, not the request's: handlers do not see them."""

CREDENTIALS = ("auth", "cookie", "token", "secret", "password", "signature", "api-key", "apikey")
"""Parts of the names of headers that hold what must not stand in a journal or a timeline; handlers do not see them."""

MAX_HEADERS = 50
"""Headers that handlers see of a request: proxies add ten, a tool some of its own."""

MAX_HEADER = 1024
"""Characters of one header that handlers see; the rest is cut off."""


class ControlRequests:
    """Makes http.request events of them, or refuses them."""

    def __init__(self, services: Services, sessions: Mapping[str, Session]) -> None:
        self._services = services
        self._sessions = sessions

    def receive(
        self, request: str, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> None:
        """A request to `/control/` + `path`."""
        token, _, rest = path.partition("/")
        grant = self._services.control_keys.verify(token, self._services.clock.at(now).timestamp())
        session = self._sessions.get(grant.session) if grant is not None else None
        if grant is None or session is None or session.ending.terminating:
            self._problem(request, 404, "not_found", "no such session")
            return
        if not session.capabilities.bucket(grant.nonce, now).take(now):
            self._problem(request, 429, "too_many_requests", "at most 5 a second", {"Retry-After": "1"})
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method not in ("GET", "POST"):
            self._problem(request, 405, "method_not_allowed", "GET or POST", {"Allow": "GET, POST"})
        elif len(body) > MAX_BODY:
            self._problem(request, 413, "too_large", f"at most {MAX_BODY} bytes")
        elif method == "POST" and body and kind != "application/json":
            self._problem(request, 415, "unsupported_media_type", "send application/json")
        elif unsigned := self._unsigned(method, path, headers, body, now):
            session.note("http", "unsigned control request refused", {"why": unsigned}, now)
            self._problem(request, 401, "bad_signature", unsigned)
        elif refusal := session.capabilities.judge(grant.nonce, rest.partition("/")[0] or None, body, now):
            self._problem(request, refusal.status, refusal.code, refusal.detail)
        else:
            self._http_event(session, grant.nonce, request, method, rest, headers, body, now)

    def _unsigned(self, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
        signatures = self._services.request_signatures
        if signatures is None:
            return None
        return signatures.refuse(headers.get(HEADER), method, path, body, self._services.clock.at(now).timestamp())

    def _http_event(
        self,
        session: Session,
        nonce: str,
        request: str,
        method: str,
        rest: str,
        headers: Mapping[str, str],
        body: bytes,
        now: float,
    ) -> None:
        try:
            content = body.decode() if method == "POST" else ""
        except UnicodeDecodeError:
            self._problem(request, 400, "bad_request", "the body is not UTF-8")
            return
        data = HttpRequest(
            method=method,
            path=f"/{rest}",
            headers=shown(headers),
            content=content,
            verb=rest.partition("/")[0] or None,
        )
        session.note("http", f"{method} control URL", {"verb": data.verb, "bytes": len(body)}, now)
        if not session.listens("http.request", None, {"verb": data.verb}):
            self._problem(request, 404, "not_found", "the scenario does not listen to http.request")
            return
        if session.falling_back.begun:
            self._problem(request, TAKEN_OVER.status, TAKEN_OVER.code, TAKEN_OVER.detail)
            return
        session.request_came(request, now)
        if session.post("http.request", data, now, request=request):
            session.capabilities.spend(nonce)
        else:
            session.problem(request, 503, "busy", "too many events wait; try again later", now)

    def _problem(
        self, request: str, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        body = json.dumps({"title": code, "status": status, "code": code, "detail": detail}).encode()
        merged = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **(headers or {})}
        self._services.emit(ReplyHttp(request, status, body, merged))


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The request headers that handlers see, names in lower case."""
    lower = {name.lower(): value[:MAX_HEADER] for name, value in headers.items()}
    seen = (name for name in lower if name not in HIDDEN_HEADERS and not any(part in name for part in CREDENTIALS))
    return {name: lower[name] for name, _ in zip(seen, range(MAX_HEADERS), strict=False)}
