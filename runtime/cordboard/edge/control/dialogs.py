"""Live SIP dialogs on disk, so that the next life of control can say BYE for this one (DESIGN §1)."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Final

from cordboard.contract.call_record import DialogRecord
from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.edge.atomic import write_json

MAX_FILES: Final = 10_000  # dialogs read at a start; a machine holds some thousand calls

log = logging.getLogger(__name__)


class DialogFiles:
    """One small file per dialog."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, key: str, record: DialogRecord) -> None:
        """Write a dialog. Raises OSError."""
        write_json(self._path(key), encode(record))

    def drop(self, key: str) -> None:
        """The dialog is over; an unknown one is nothing. Raises OSError."""
        self._path(key).unlink(missing_ok=True)

    def restore(self) -> list[DialogRecord]:
        """Every dialog of former lives, and their files are gone. What cannot be read is logged and left out."""
        records: list[DialogRecord] = []
        for path in sorted(self._folder.iterdir())[:MAX_FILES]:
            if path.suffix == ".json" and not path.name.startswith("."):
                try:
                    records.append(decode(DialogRecord, json.loads(path.read_bytes()), unknown="ignore"))
                except (OSError, ValueError, DecodeError) as error:
                    log.error("the dialog in %s cannot be ended: %s", path, error)
            path.unlink(missing_ok=True)
        return records

    def _path(self, key: str) -> Path:
        # The key may hold what a peer chose (a Call-ID): its hash is a safe name.
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
