"""Where things stand in `edge.data_dir`; the one home of its layout.

calls/<session>/   facts.json timeline.jsonl timeline.json journal.jsonl record.json transcript.{jsonl,txt} *.wav
calls.sqlite       a list of the calls, made anew from their folders where it is lost
audit.jsonl        what was erased by hand, and when
dialogs/           one file per live SIP dialog, for the next life
finish/            recordings that wait for the finisher; finish/failed/ those it could not read
upload/            recordings that wait to be copied to [recording].sink, or removed there; upload/failed/ as above
prompts-cache/     sounds made ready for players; may be deleted while no edge runs
run/               sockets and the lock of a running edge
storage.sqlite     ApplicationStorage
secrets.sqlite     secrets, mode 0600
webhooks.sqlite    which webhooks are handled, by hash
tokens.sqlite      hashes of the admin API's tokens, mode 0600
starts.sqlite      which request started which session, for a day
control.key        key of the control URLs, mode 0600
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from cordboard.edge.atomic import private_directory

RAW_SUFFIX: Final = ".raw.wav"
"""Ending of a recording that is still being written, or waits for the finisher."""


JOURNAL: Final = "journal.jsonl"
"""What the handlers of a call were told and answered."""


class EdgeRuns(OSError):
    """Another edge holds this data folder."""


class DataDir:
    """Paths below one data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.calls = self.root / "calls"
        self.dialogs = self.root / "dialogs"
        self.finish = self.root / "finish"
        self.failed = self.finish / "failed"
        self.upload = self.root / "upload"
        self.upload_failed = self.upload / "failed"
        self.prompts = self.root / "prompts-cache"
        self.run = self.root / "run"
        self.index = self.root / "calls.sqlite"
        self.audit = self.root / "audit.jsonl"
        self.storage = self.root / "storage.sqlite"
        self.secrets = self.root / "secrets.sqlite"
        self.webhooks = self.root / "webhooks.sqlite"
        self.tokens = self.root / "tokens.sqlite"
        self.starts = self.root / "starts.sqlite"
        self.control_key = self.root / "control.key"
        self.lock = self.run / "edge.lock"

    def make(self) -> None:
        """Make the folders, closed to other users. Raises OSError."""
        queues = (self.finish, self.failed, self.upload, self.upload_failed)
        for folder in (self.root, self.calls, self.dialogs, *queues, self.run):
            private_directory(folder)

    def hold(self) -> int:
        """Take the lock that one running edge holds; a handle to keep open. Raises EdgeRuns, OSError."""
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise EdgeRuns(errno.EWOULDBLOCK, f"an edge runs with {self.root} already") from None
        return handle

    def edge_runs(self) -> bool:
        """Whether an edge holds the lock now."""
        try:
            handle = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False
