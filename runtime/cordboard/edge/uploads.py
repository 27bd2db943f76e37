"""Copies finished recordings to S3, and removes there what was erased by hand. In the finisher's process, in a thread.

A job is a file in `upload/`, so that whatever dies, it is done again: a copy over itself, a removal of what is gone.
The copy is `{prefix}/{yyyy}/{mm}/{dd}/{session}/{name}.wav` by the call's begin; `uploaded.json` in the call's folder
names it. How long it is kept, and how it is encrypted, says the bucket. Leaves out timelines and transcripts.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cordboard.config.aws import S3Sink
from cordboard.edge.atomic import write_json
from cordboard.edge.data_dir import DataDir
from cordboard.edge.erasure import FACTS, UPLOADED, keeps_no_sound, queue_removal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

POLL: Final = 1.0  # seconds between two looks
MAX_PAUSE: Final = 300.0  # seconds; a failed look is followed by a pause twice as long as the last one
PART: Final = 16 * 1024 * 1024  # bytes of a part: 10,000 of them are more than a WAV file can hold

log = logging.getLogger(__name__)


class UploadFailed(Exception):
    """S3 did not take or remove it now; the message holds no credential."""


class Uploads:
    """Works off `upload/`. Its thread ends with the process; a copy under way is then begun again at the next start."""

    def __init__(self, data: DataDir, sink: S3Sink) -> None:
        self._data = data
        self._sink = sink
        self._client: S3Client | None = None

    def start(self) -> None:
        """Begin, in the background."""
        threading.Thread(target=self._run, name="uploads", daemon=True).start()

    def turn(self) -> int:
        """Do the waiting jobs, oldest names first; how many. Raises UploadFailed at the first that S3 refuses."""
        done = 0
        for path in sorted(self._data.upload.glob("*.json")):
            try:
                job: Any = json.loads(path.read_bytes())
                if "remove" in job:
                    self._remove([str(url) for url in job["remove"]])
                else:
                    self._copy(str(job["session"]), Path(job["path"]))
            except FileNotFoundError:
                pass  # erased since
            except (ValueError, KeyError, TypeError) as error:
                log.error("%s is no job and goes: %s", path.name, error)
            path.unlink(missing_ok=True)
            done += 1
        return done

    def _run(self) -> None:
        pause = POLL
        wait = threading.Event().wait
        while True:
            try:
                self.turn()
                pause = POLL
            except Exception as error:  # noqa: BLE001 (whatever it is, the next look may go well)
                pause = min(2 * pause, MAX_PAUSE)
                log.error("recordings wait for %s, next try in %.0f s: %s", self._sink, pause, error)
            wait(pause)

    def _copy(self, session: str, wav: Path) -> None:
        folder = wav.parent
        if folder.parent != self._data.calls or ".." in wav.parts:
            raise ValueError(f"{wav} is no recording below {self._data.calls}")
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

    def _remove(self, urls: list[str]) -> None:
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
                self._client = boto3.client("s3", config=Config(connect_timeout=5, read_timeout=60, retries=retries))
            except (BotoCoreError, ValueError) as error:
                raise UploadFailed(str(error)) from None
        return self._client


def _began(folder: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads((folder / FACTS).read_bytes())["started_at"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError):
        return None
