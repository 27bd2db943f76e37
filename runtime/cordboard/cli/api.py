"""The admin API of a running edge, for verbs that act on it: where it is, and how its refusals are told."""

import argparse
import os
from collections.abc import Mapping
from typing import Any, Final, Self

import httpx

from cordboard.cli.errors import BAD, NO_EDGE, NOT_FOUND, USAGE, CliError
from cordboard.cli.settings import read_config

TIMEOUT: Final = 10.0  # seconds of one request; the edge answers at once, on a busy disk within two
SESSION_ID: Final = 26  # characters of a whole id


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--url`. A token stands in no option: others see command lines."""
    parser.add_argument("--url", metavar="URL", help="the edge's API; default: CORDBOARD_URL, else [http.admin].listen")


class Api:
    """A client, to be used as a context. Its methods raise CliError."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.url = (args.url or os.environ.get("CORDBOARD_URL") or _configured(args)).rstrip("/")
        token = os.environ.get("CORDBOARD_TOKEN", "")
        if not token:
            hint = "export CORDBOARD_TOKEN=$(cordboard tokens create --scope start --scope read --scope control)"
            raise CliError(USAGE, "CORDBOARD_TOKEN is not set", hint)
        try:
            self._client = httpx.Client(
                base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT, trust_env=False
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise CliError(USAGE, f"{self.url!r} is no URL: {error}", "write http://127.0.0.1:8080") from None

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """A GET's JSON."""
        return self._ask("GET", path, params=query)

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """A POST's JSON."""
        return self._ask("POST", path, json=body, headers=headers)

    def whole_id(self, text: str) -> str:
        """The id of the live session that it begins; a whole one as it is."""
        if len(text) >= SESSION_ID:
            return text
        live = [str(each["id"]) for each in self.get("/v1/sessions", state="live")["items"]]
        found = [each for each in live if each.startswith(text)]
        if len(found) == 1 and text:
            return found[0]
        if found:
            names = ", ".join(found[:5])
            raise CliError(USAGE, f"{len(found)} live calls begin with {text!r}", f"write more of one of: {names}")
        raise CliError(NOT_FOUND, f"no live call begins with {text!r}", "`cordboard calls ls --live` lists them")

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, **more)
            body = response.json()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            hint = "start it: cordboard edge; or name another with --url or CORDBOARD_URL"
            raise CliError(NO_EDGE, f"no edge answers at {self.url}: {error}", hint) from None
        except httpx.InvalidURL as error:
            raise CliError(USAGE, f"{self.url!r} is no URL: {error}", "write http://127.0.0.1:8080") from None
        except httpx.HTTPError as error:
            hint = "whether it took the request is not known: see `cordboard calls ls`"
            raise CliError(
                NO_EDGE, f"the edge at {self.url} did not answer: {str(error) or type(error).__name__}", hint
            ) from None
        except ValueError:
            raise CliError(NO_EDGE, f"what answers at {self.url} is no edge's API", "see [http.admin].listen") from None
        if response.is_success and isinstance(body, dict):
            return body
        raise _refused(response.status_code, body if isinstance(body, dict) else {})


def _configured(args: argparse.Namespace) -> str:
    listen = read_config(args).http.admin.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def _refused(status: int, body: Mapping[str, Any]) -> CliError:
    detail = str(body.get("detail", f"status {status}"))
    hint = str(body.get("hint", ""))
    match status:
        case 401:
            return CliError(USAGE, f"CORDBOARD_TOKEN: {detail}", "`cordboard tokens ls` lists those that are good")
        case 403:
            return CliError(USAGE, f"CORDBOARD_TOKEN: {detail}", "make one with it: cordboard tokens create --scope …")
        case 404:
            return CliError(NOT_FOUND, detail, hint or "`cordboard calls ls` lists all calls")
        case 400 | 413 | 415 | 422:
            return CliError(USAGE, detail, hint or "correct it and try again")
    return CliError(BAD, f"the edge refuses: {detail}", hint or "the edge's log may say more")
