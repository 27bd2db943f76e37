"""The options of `cordboard line` that name a webhook's receiver."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from cordboard.line.platform.options import DATA_DIR
from cordboard.line.webhooks.outbox import FILE, Outbox
from cordboard.line.webhooks.sender import Webhooks, WebhookTargetInvalid

MAX_SECRET: Final = 8_192
"""Characters of a secret: as many as a header line may have at common servers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    group = parser.add_argument_group("webhooks: what happens to calls, told to a receiver of yours")
    group.add_argument(
        "--webhook", metavar="URL", help="POST call_started, call_turn, call_completed … to this address"
    )
    group.add_argument("--webhook-secret-file", type=Path, metavar="FILE", help="holds what x-webhook-secret shall say")


def open_webhooks(args: argparse.Namespace) -> Webhooks | None:
    """The sender that the options ask for, not yet started; None: they ask for none.

    `args.data_dir` holds the outbox. Raises WebhookTargetInvalid, OutboxUnusable.
    """
    url, file = args.webhook, args.webhook_secret_file
    if url is None and file is None:
        return None
    if url is None or file is None:
        missing = "--webhook" if url is None else "--webhook-secret-file"
        raise WebhookTargetInvalid(f"{missing}: is missing; a webhook needs its address and its secret")
    try:
        with file.open(encoding="utf-8", newline="") as text:
            secret = text.read(MAX_SECRET + 3).rstrip("\r\n")
    except OSError as error:
        raise WebhookTargetInvalid(f"--webhook-secret-file: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WebhookTargetInvalid(f"--webhook-secret-file: {file}: is not UTF-8") from None
    if len(secret) > MAX_SECRET:
        raise WebhookTargetInvalid(f"--webhook-secret-file: {file}: has more than {MAX_SECRET} characters")
    return Webhooks(url, secret, Outbox((args.data_dir or DATA_DIR) / FILE))
