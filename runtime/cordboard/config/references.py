"""Resolves the references to secrets of HANDLERS.md 2.2 (secret, env, file) at the moment of use; keeps no value."""

from collections.abc import Mapping
from pathlib import Path

from cordboard.config.error import ConfigError
from cordboard.config.model import SecretRef
from cordboard.storage.interface import MAX_SECRET_CHARS, SecretNotFound, SecretReader


def reveal(key: str, reference: SecretRef, environ: Mapping[str, str], secrets: SecretReader) -> str:
    """The secret that the configuration's `key` refers to; line ends after it are dropped from a file.

    Raises ConfigError, which names the reference and never the value, and what `secrets.resolve` raises when the store
    does not answer.
    """
    place = f"{reference.kind} {reference.name!r}"
    try:
        value = _read(reference, environ, secrets)
    except SecretNotFound as error:
        raise ConfigError(None, key, None, f"{place} is not there", str(error)) from None
    except KeyError:
        raise ConfigError(None, key, None, f"{place} is not set", "set the variable and start again") from None
    except OSError as error:
        raise ConfigError(None, key, None, f"{place} cannot be read: {error.strerror}", "check path and mode") from None
    except UnicodeDecodeError:
        raise ConfigError(None, key, None, f"{place} is not UTF-8", "save the secret as text") from None
    if not 0 < len(value) <= MAX_SECRET_CHARS:
        raise ConfigError(
            None, key, None, f"{place} has {len(value)} characters", f"a secret has 1 to {MAX_SECRET_CHARS} characters"
        )
    return value


def _read(reference: SecretRef, environ: Mapping[str, str], secrets: SecretReader) -> str:
    if reference.kind == "secret":
        return secrets.resolve(reference.name).value
    if reference.kind == "env":
        return environ[reference.name]
    with Path(reference.name).open(encoding="utf-8", newline="") as file:
        return file.read(MAX_SECRET_CHARS + 3).rstrip("\r\n")  # room for a line end
