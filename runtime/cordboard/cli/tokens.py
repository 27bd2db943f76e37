"""`cordboard tokens`: who may use the admin API of the edge with this data folder. A token is shown once."""

import argparse
import time
from datetime import UTC, datetime
from typing import Final

from cordboard.cli.call_folders import age
from cordboard.cli.errors import BAD, GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import note, out, out_json, table
from cordboard.edge.atomic import private_directory
from cordboard.edge.data_dir import DataDir
from cordboard.edge.tokens import MAX_TOKENS, SCOPES, Token, TokenStore, TooManyTokens
from cordboard.storage.interface import StorageUnavailable, StoreTooNew

DEFAULT_LIFE: Final = "90d"  # "never" must be said


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "create|ls|revoke")
    create = verbs.add("create", "make a token, and print it this once")
    create.add_argument(
        "--scope", action="append", required=True, choices=SCOPES, help="what it is for; may be repeated"
    )
    create.add_argument(
        "--expires", default=DEFAULT_LIFE, metavar="90d", help="its life (m, h, d), or never (default %(default)s)"
    )
    verbs.add("ls", "tokens by id, never whole")
    revoke = verbs.add("revoke", "make a token worthless at once")
    revoke.add_argument("id", metavar="ID")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    data = DataDir(read_config(args).edge.data_dir)
    try:
        private_directory(data.root)
        with TokenStore(data.tokens) as tokens:
            match args.action:
                case "create":
                    return _create(args, tokens)
                case "ls":
                    return _ls(args, tokens)
                case _:
                    return _revoke(args, tokens)
    except BrokenPipeError:
        raise  # the reader has enough: main.py knows what to do
    except (StorageUnavailable, StoreTooNew) as error:
        raise CliError(USAGE, str(error), f"check the files in {data.root}") from None
    except OSError as error:
        raise CliError(USAGE, f"{data.root}: {error.strerror}", "set edge.data_dir to a folder you own") from None


def _create(args: argparse.Namespace, tokens: TokenStore) -> int:
    now = time.time()
    expires = None if args.expires == "never" else now + age("--expires", args.expires).total_seconds()
    try:
        whole = tokens.create(tuple(dict.fromkeys(args.scope)), expires, now)
    except TooManyTokens:
        raise CliError(BAD, f"there are {MAX_TOKENS} tokens already", "revoke some: cordboard tokens ls") from None
    if args.json:
        out_json({"token": whole, "scopes": list(dict.fromkeys(args.scope)), "expires": _text(expires) or None})
    else:
        out(whole)
        note("it is shown this once; export it as CORDBOARD_TOKEN")
    return GOOD


def _ls(args: argparse.Namespace, tokens: TokenStore) -> int:
    found = tokens.all()
    if args.json:
        for each in found:
            expires = _text(each.expires) or None
            out_json({"id": each.id, "scopes": list(each.scopes), "created": _text(each.created), "expires": expires})
        return GOOD
    table(("ID", "SCOPES", "CREATED", "EXPIRES"), (_row(each) for each in found))
    return GOOD


def _revoke(args: argparse.Namespace, tokens: TokenStore) -> int:
    if not tokens.revoke(args.id):
        raise CliError(NOT_FOUND, f"there is no token {args.id!r}", "`cordboard tokens ls` lists all ids")
    note(f"{args.id} is worthless")
    return GOOD


def _row(token: Token) -> tuple[str, str, str, str]:
    return token.id, ",".join(token.scopes), _text(token.created), _text(token.expires) or "never"


def _text(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
