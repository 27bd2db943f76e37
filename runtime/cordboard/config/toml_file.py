"""cordboard.toml as a file: its bytes, and its TOML."""

import re
import tomllib
from pathlib import Path
from typing import Final

from cordboard.config.error import ConfigError

MAX_FILE: Final = 1_048_576  # bytes; a file with thousands of routes has a tenth


def read_file(path: Path) -> str:
    """The text of the file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        hint = "docs/operate.md shows one, --config names another"
        raise ConfigError(str(path), "", None, f"cannot be read: {error.strerror}", hint) from None
    if len(content) > MAX_FILE:
        raise ConfigError(str(path), "", None, f"is larger than {MAX_FILE} bytes", "check that it is the right file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", None, "is not UTF-8", "save it as UTF-8") from None


def parse(path: Path, source: str) -> dict[str, object]:
    """What it says. Raises ConfigError that names the line."""
    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        message = re.sub(r" \(at .*\)", "", str(error))
        raise ConfigError(
            str(path), "", None if line is None else int(line[1]), f"is no TOML: {message}", "see https://toml.io"
        ) from None
