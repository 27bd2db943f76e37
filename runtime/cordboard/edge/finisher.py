"""`python -m cordboard.edge.finisher`: makes recordings that any program plays of the planes' raw files; sweeps.

Works off `finish/*.json`, at the lowest priority. Each step can be repeated after a crash: the finished file appears
whole, then the raw file goes, then the job, or it waits for its copy in S3 (`uploads`). Leaves out encryption and
other formats.
"""

import argparse
import json
import logging
import math
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr

from cordboard.config.aws_values import sink
from cordboard.edge import log as edge_log
from cordboard.edge.atomic import FILE_MODE, write_json
from cordboard.edge.data_dir import RAW_SUFFIX, DataDir
from cordboard.edge.erasure import keeps_no_sound
from cordboard.edge.lifeline import ignore_interrupt
from cordboard.edge.sweeper import Sweeper, from_argument
from cordboard.edge.uploads import Uploads
from cordboard.media.recorder import repair
from cordboard.media.samples import Samples
from cordboard.media.wav import PCM, UNKNOWN_SIZE, WavError, decode_block, form_header, read_layout

NICENESS: Final = 10  # behind everything that a caller hears or waits for
POLL: Final = 0.5  # seconds between two looks at the queue
HD_RATE: Final = 16_000  # Hz of a recording asked for in high definition (DESIGN §6)
LAST_JOBS: Final = 1.0  # seconds for waiting jobs once the edge ends; the rest waits for its next start
_BLOCK: Final = 1 << 16  # samples converted at a time: bounded memory, few system calls

log = logging.getLogger(__name__)


class BadJob(ValueError):
    """A job that cannot be done, now or later."""


@dataclass(frozen=True, slots=True)
class Job:
    """One recording to finish."""

    session: str
    """Whose."""
    raw: Path
    """The raw file."""
    name: str
    """Name of the finished file, without .wav."""
    stereo: bool
    """Two channels; else both sides in one."""
    hd_audio: bool
    """16 kHz; else the raw file's rate."""

    @property
    def finished(self) -> Path:
        """Where the result goes: beside the raw file."""
        return self.raw.with_name(f"{self.name}.wav")


def read_job(path: Path, data: DataDir) -> Job:
    """The job in a file. Raises BadJob for anything that names no recording below `calls/`, OSError."""
    try:
        body: Any = json.loads(path.read_bytes())
        raw = Path(body["path"])
        stereo, hd_audio = body.get("stereo", True), body.get("hd_audio", False)
        name = body.get("name") or raw.name.removesuffix(RAW_SUFFIX)
        job = Job(str(body["session"]), raw, str(name), stereo is True, hd_audio is True)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadJob(f"{path.name} is no job: {error}") from error
    if raw.parent.parent != data.calls or not raw.name.endswith(RAW_SUFFIX) or "/" in job.name or ".." in raw.parts:
        raise BadJob(f"{path.name} names no recording below {data.calls}")
    return job


def finish(job: Job) -> bool:
    """Make the recording; False when there is neither raw nor finished file. Raises WavError, OSError."""
    if not job.raw.exists():
        return job.finished.exists()
    repair(job.raw)
    _convert(job)
    job.raw.unlink()
    return True


def _convert(job: Job) -> None:
    part = job.finished.with_name(f".{job.finished.name}.part")
    with job.raw.open("rb") as source:
        layout = read_layout(source, job.raw.name)
        channels = layout.channels if job.stereo else 1
        rate = HD_RATE if job.hd_audio else layout.rate
        stream = None if rate == layout.rate else soxr.ResampleStream(layout.rate, rate, channels, dtype="int16")
        source.seek(layout.start)
        left = layout.size // layout.block
        octets = 0
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            with open(handle, "wb") as sink:
                sink.write(form_header(PCM, channels, rate, 2, 0))
                while left > 0:
                    count = min(left, _BLOCK)
                    left -= count
                    samples = decode_block(layout, source.read(count * layout.block))
                    if not job.stereo and layout.channels > 1:
                        samples = mix(samples)
                    if stream is not None:
                        samples = stream.resample_chunk(np.ascontiguousarray(samples), last=left == 0)
                    octets += sink.write(samples.astype("<i2", copy=False).tobytes())
                if octets + 64 >= UNKNOWN_SIZE:
                    raise WavError(job.raw.name, "data", f"{octets} octets of PCM do not fit a WAV file")
                sink.seek(0)
                sink.write(form_header(PCM, channels, rate, 2, octets))
            os.replace(part, job.finished)
        finally:
            part.unlink(missing_ok=True)


def mix(samples: Samples) -> Samples:
    """Both sides in one channel: the sum, limited, for a conversation is mostly one voice at a time."""
    total = samples.astype(np.int32).sum(axis=1)
    return np.asarray(np.clip(total, -32768, 32767), np.int16).reshape(-1, 1)


def work_off(data: DataDir, until: float = math.inf, *, upload: bool = False) -> int:
    """Do the waiting jobs, oldest names first, until a moment (monotonic seconds); how many were done.

    `upload`: what is finished waits in `upload/` from then on.
    """
    done = 0
    for path in sorted(data.finish.glob("*.json")):
        if time.monotonic() >= until:
            break
        try:
            job = read_job(path, data)
            if not finish(job) and not keeps_no_sound(job.raw.parent):
                raise BadJob(f"{path.name}: {job.raw} does not exist")
            if keeps_no_sound(job.raw.parent):  # erased while it waited or was made
                job.finished.unlink(missing_ok=True)
            elif upload:
                write_json(data.upload / path.name, {"session": job.session, "path": str(job.finished)})
        except (BadJob, WavError) as error:
            log.error("a recording is set aside: %s", error)
            os.replace(path, data.failed / path.name)
            continue
        except OSError as error:  # a full disk; the job stays
            log.error("a recording waits: %s", error)
            continue
        path.unlink(missing_ok=True)
        done += 1
        log.info("recording %s of call %s is finished", job.finished.name, job.session)
    return done


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m cordboard.edge.finisher")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--retention", required=True)
    parser.add_argument("--sink", type=sink)
    parser.add_argument("--region", help="of the sink; else the environment's")
    parser.add_argument("--log-format", choices=("text", "json"), required=True)
    parser.add_argument("--log-level", required=True)
    args = parser.parse_args()
    ignore_interrupt()
    edge_log.set_up("finisher", args.log_format, args.log_level)
    os.nice(NICENESS)
    data = DataDir(args.data_dir)
    data.make()
    read, write = os.pipe()
    os.set_blocking(write, False)
    sweeper = Sweeper(
        data,
        from_argument(args.retention),
        lambda: bool(select.select([0, read], [], [], 0)[0]),
        copies=args.sink is not None,
    )
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGTERM, lambda *_: None)
    if args.sink is not None:
        Uploads(data, args.sink, args.region).start()
    while True:
        work_off(data, upload=args.sink is not None)
        sweeper.turn(time.time())
        readable, _, _ = select.select([0, read], [], [], POLL)
        if read in readable or (0 in readable and not os.read(0, 4096)):
            work_off(data, time.monotonic() + LAST_JOBS, upload=args.sink is not None)
            return 0


if __name__ == "__main__":
    sys.exit(main())
