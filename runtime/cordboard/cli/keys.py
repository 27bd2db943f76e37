"""`cordboard keys`: ApplicationStorage and secrets that the configuration names, or a stage's on AWS. A value comes
from standard input or a prompt, never from the command line, where others see it; a secret's value is never printed."""

import argparse
import getpass
import re
import sys
import time
from typing import Final

from cordboard.cli.errors import BAD, GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import note, out, out_json, table
from cordboard.edge.atomic import private_directory
from cordboard.edge.data_dir import DataDir
from cordboard.edge.stores import stage_addresses, store_addresses
from cordboard.storage.addresses import open_secrets, open_storage
from cordboard.storage.interface import ApplicationStorage, IsSecret, Secrets, StorageError, StorageUnavailable

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_INPUT: Final = 64 * 1024  # bytes read from standard input; values and secrets end far below


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "put|get|ls|rm")
    put = verbs.add("put", "store a value read from standard input or a hidden prompt")
    put.add_argument("name", metavar="NAME")
    put.add_argument("--secret", action="store_true", help="store it as a secret")
    put.add_argument("--ttl", metavar="30d", help="forget it after this time (s, m, h, d)")
    get = verbs.add("get", "print a value that is no secret")
    get.add_argument("name", metavar="NAME")
    ls = verbs.add("ls", "names, never values")
    rm = verbs.add("rm", "remove a key or secret")
    rm.add_argument("name", metavar="NAME")
    for verb in (put, get, ls, rm):
        verb.add_argument(
            "--stage", type=_stage, metavar="prod", help="of this stage on AWS, as template.yaml makes it"
        )


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    config = read_config(args)
    data = DataDir(config.edge.data_dir)
    on_aws = args.stage is not None or config.storage.backend == "aws"
    addresses = store_addresses(config, data)
    if args.stage is not None:
        addresses = stage_addresses(args.stage, config.storage.aws.region)
    try:
        if not on_aws:
            private_directory(data.root)
        with (
            open_secrets(addresses.secrets, time.time) as secrets,
            open_storage(addresses.storage, time.time, is_secret=secrets.is_secret) as storage,
        ):
            match args.action:
                case "put":
                    return _put(args, storage, secrets)
                case "get":
                    return _get(args, storage)
                case "ls":
                    return _ls(args, storage, secrets)
                case _:
                    return _rm(args, storage, secrets)
    except BrokenPipeError:
        raise  # the reader has enough: main.py knows what to do
    except IsSecret:
        raise CliError(
            BAD, f"{args.name} is a secret: its value stays where it is", "scenarios read it with session.secret"
        ) from None
    except StorageUnavailable as error:
        hint = "check credentials, region and stage" if on_aws else f"check the files in {data.root}"
        raise CliError(USAGE, str(error), hint) from None
    except StorageError as error:
        raise CliError(USAGE, str(error), "see `cordboard keys --help`") from None
    except OSError as error:
        raise CliError(USAGE, f"{data.root}: {error.strerror}", "set edge.data_dir to a folder you own") from None


def _put(args: argparse.Namespace, storage: ApplicationStorage, secrets: Secrets) -> int:
    ttl = None if args.ttl is None else _seconds(args.ttl)
    if args.secret and ttl is not None:
        raise CliError(USAGE, "--ttl does not apply to secrets", "leave one of --secret and --ttl out")
    value = _read_value(args.name)
    if not value:
        raise CliError(USAGE, f"the value of {args.name} is empty; nothing was stored", "remove a key with `keys rm`")
    if args.secret:
        version = secrets.put(args.name, value)
        storage.remove(args.name)  # a plain value of that name must not outlive it
        note(f"secret {args.name} stored, version {version}")
    else:
        storage.put(args.name, value, ttl)
        note(f"key {args.name} stored")
    return GOOD


def _get(args: argparse.Namespace, storage: ApplicationStorage) -> int:
    item = storage.get(args.name)
    if item is None:
        raise _unknown(args.name)
    if args.json:
        out_json({"name": item.key, "value": item.value, "expires": item.expire_at})
    else:
        out(item.value)
    return GOOD


def _ls(args: argparse.Namespace, storage: ApplicationStorage, secrets: Secrets) -> int:
    rows = [(name, "secret", "") for name in secrets.names()]
    for name in storage.keys(None):
        item = None if secrets.is_secret(name) else storage.get(name)
        if item is not None:
            expires = "" if item.expire_at is None else item.expire_at.isoformat(timespec="seconds")
            rows.append((name, "key", expires))
    if args.json:
        for name, kind, expires in rows:
            out_json({"name": name, "kind": kind, "expires": expires or None})
    else:
        table(("NAME", "KIND", "EXPIRES"), rows)
    return GOOD


def _rm(args: argparse.Namespace, storage: ApplicationStorage, secrets: Secrets) -> int:
    was_secret = secrets.remove(args.name)
    was_key = storage.remove(args.name)
    if not was_secret and not was_key:
        raise _unknown(args.name)
    note(f"{args.name} removed")
    return GOOD


def _read_value(name: str) -> str:
    if sys.stdin.isatty():
        try:
            return getpass.getpass(f"value of {name}: ")
        except EOFError:
            return ""
    data = sys.stdin.buffer.read(_MAX_INPUT + 1)
    if len(data) > _MAX_INPUT:
        raise CliError(USAGE, f"the value is longer than {_MAX_INPUT} bytes", "values are short texts")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise CliError(USAGE, "the value is no UTF-8 text", "encode bytes first, for example as base64") from None


def _stage(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", text):  # as the template's parameter Stage
        raise argparse.ArgumentTypeError(f"{text!r} is no stage; use up to 16 small letters, digits and -")
    return text


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise CliError(USAGE, f"--ttl {text!r} is no duration", "write 90s, 15m, 12h or 30d")
    return int(found[1]) * _UNITS[found[2]]


def _unknown(name: str) -> CliError:
    return CliError(NOT_FOUND, f"there is no key {name!r}", "`cordboard keys ls` lists all names")
