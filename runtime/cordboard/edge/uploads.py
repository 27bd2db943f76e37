"""Copies finished recordings to S3, and removes there what was erased by hand. In the finisher's process, in a thread.

A job is a file in `upload/`, so that whatever dies, it is done again: a copy over itself, a removal of what is gone.
Each waits by itself: one that S3 refuses is tried again after pauses of its own, and holds no other up. Only what is no
job at all is set aside, in `upload/failed/`.
The copy is `{prefix}/{yyyy}/{mm}/{dd}/{session}/{name}.wav` by the call's begin; `uploaded.json` in the call's folder
names it. How long it is kept, and how it is encrypted, says the bucket. Leaves out timelines and transcripts.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cordboard.config.aws import S3Sink
from cordboard.edge.atomic import write_json
from cordboard.edge.data_dir import DataDir
from cordboard.edge.erasure import FACTS, UPLOADED, keeps_no_sound, queue_removal
from cordboard.storage.aws import RegionUnknown, known_region

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

POLL: Final = 1.0  # seconds between two looks
MAX_PAUSE: Final = 300.0  # seconds; a failed try is followed by a pause twice as long as the last one
PART: Final = 16 * 1024 * 1024  # bytes of a part: 10,000 of them are more than a WAV file can hold

log = logging.getLogger(__name__)


class UploadFailed(Exception):
    """S3 did not take or remove it now; the message holds no credential."""


class BadJob(ValueError):
    """A file in `upload/` that says nothing to do."""


@dataclass(frozen=True, slots=True)
class _Copy:
    session: str
    wav: Path


@dataclass(frozen=True, slots=True)
class _Removal:
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wait:
    pause: float
    until: float


class Uploads:
    """Works off `upload/`. Its thread ends with the process; a copy under way is then begun again at the next start."""

    def __init__(
        self,
        data: DataDir,
        sink: S3Sink,
        region: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`region` None: the environment's."""
        self._data = data
        self._sink = sink
        self._region = region
        self._clock = clock
        self._client: S3Client | None = None
        self._waits: dict[str, _Wait] = {}

    def start(self) -> None:
        """Begin, in the background."""
        threading.Thread(target=self._run, name="uploads", daemon=True).start()

    def turn(self) -> int:
        """Do the jobs that are due, in the order of their names; how many are done. Raises OSError."""
        jobs = sorted(self._data.upload.glob("*.json"))
        self._waits = {path.name: self._waits[path.name] for path in jobs if path.name in self._waits}
        return sum(self._try(path) for path in jobs)

    def _run(self) -> None:
        wait = threading.Event().wait
        while True:
            try:
                self.turn()
            except Exception:  # whatever it is, the next look may go well
                log.exception("recordings for %s cannot be looked for", self._sink)
            wait(POLL)

    def _try(self, path: Path) -> bool:
        waits = self._waits.get(path.name)
        if waits is not None and self._clock() < waits.until:
            return False
        try:
            done = self._do(path)
        except Exception as error:  # noqa: BLE001 (the SDK's, the disk's: this job waits, the others go on)
            pause = POLL if waits is None else min(2 * waits.pause, MAX_PAUSE)
            self._waits[path.name] = _Wait(pause, self._clock() + pause)
            told = error if isinstance(error, UploadFailed) else f"{type(error).__name__}: {error}"
            log.error("%s waits, one of %d; next try in %.0f s: %s", path.name, len(self._waits), pause, told)
            return False
        self._waits.pop(path.name, None)
        return done

    def _do(self, path: Path) -> bool:
        try:
            job = self._read(path)
        except BadJob as error:
            log.error("%s is set aside in %s: %s", path.name, self._data.upload_failed, error)
            os.replace(path, self._data.upload_failed / path.name)
            return False
        if isinstance(job, _Removal):
            self._remove(job.urls)
        elif job is not None:
            self._copy(job)
        path.unlink(missing_ok=True)
        return True

    def _read(self, path: Path) -> _Copy | _Removal | None:
        """None: erased since. Raises BadJob, OSError."""
        try:
            job: Any = json.loads(path.read_bytes())
            if "remove" in job:
                return _Removal(tuple(str(url) for url in job["remove"]))
            copy = _Copy(str(job["session"]), Path(job["path"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise BadJob(f"it is no job: {type(error).__name__}: {error}") from None
        if copy.wav.parent.parent != self._data.calls or ".." in copy.wav.parts:
            raise BadJob(f"{copy.wav} is no recording below {self._data.calls}")
        return copy if copy.wav.exists() else None

    def _copy(self, job: _Copy) -> None:
        session, wav = job.session, job.wav
        folder = wav.parent
        if keeps_no_sound(folder):
            return
        began = _began(folder) or datetime.fromtimestamp(wav.stat().st_mtime, UTC)
        key = "/".join(filter(None, (self._sink.prefix, f"{began:%Y/%m/%d}", session, wav.name)))
        self._put(wav, key)
        url = f"s3://{self._sink.bucket}/{key}"
        try:
            known = json.loads((folder / UPLOADED).read_bytes())
        except (FileNotFoundError, ValueError):
            known = {}
        write_json(folder / UPLOADED, {**known, wav.name: url})
        log.info("recording %s of call %s is at %s", wav.name, session, url)
        if keeps_no_sound(folder):  # erased while it was copied
            queue_removal(self._data, session)

    def _put(self, wav: Path, key: str) -> None:
        from boto3.exceptions import S3UploadFailedError
        from boto3.s3.transfer import TransferConfig
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3().upload_file(
                str(wav),
                self._sink.bucket,
                key,
                ExtraArgs={"ContentType": "audio/wav"},
                # no threads of the SDK's own: they would hold up the end of the process
                Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False),
            )
        except (S3UploadFailedError, BotoCoreError, ClientError) as error:
            raise UploadFailed(f"{wav.name}: {error}") from None

    def _remove(self, urls: tuple[str, ...]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        for url in urls:
            bucket, _, key = url.removeprefix("s3://").partition("/")
            try:
                self._s3().delete_object(Bucket=bucket, Key=key)
            except (BotoCoreError, ClientError) as error:
                raise UploadFailed(f"{url} cannot be removed: {error}") from None
            log.info("%s is removed", url)

    def _s3(self) -> S3Client:
        if self._client is None:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError

            retries: Any = {"total_max_attempts": 3, "mode": "standard"}
            try:
                self._client = boto3.client(
                    "s3",
                    region_name=known_region(self._region),
                    config=Config(connect_timeout=5, read_timeout=60, retries=retries),
                )
            except (BotoCoreError, RegionUnknown, ValueError) as error:
                raise UploadFailed(str(error)) from None
        return self._client


def _began(folder: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads((folder / FACTS).read_bytes())["started_at"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError):
        return None
