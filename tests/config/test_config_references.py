"""References to secrets: where they are found, and messages that never repeat a value."""

from pathlib import Path

import pytest

from cordboard.config.error import ConfigError
from cordboard.config.model import SecretRef
from cordboard.config.references import reveal
from cordboard.storage.interface import MAX_SECRET_CHARS
from cordboard.storage.memory import MemorySecrets

KEY = "http.public.signing_key"


@pytest.fixture
def secrets() -> MemorySecrets:
    store = MemorySecrets()
    store.put("CONTROL_KEY", "from-store")
    return store


def test_each_kind_is_found_in_its_place(tmp_path: Path, secrets: MemorySecrets) -> None:
    path = tmp_path / "key"
    path.write_bytes(b" from-file \r\n\n")
    environ = {"KEY": "from-env"}
    assert reveal(KEY, SecretRef("secret", "CONTROL_KEY"), environ, secrets) == "from-store"
    assert reveal(KEY, SecretRef("env", "KEY"), environ, secrets) == "from-env"
    assert reveal(KEY, SecretRef("file", str(path)), environ, secrets) == " from-file "


@pytest.mark.parametrize("size", [1, MAX_SECRET_CHARS])
def test_a_file_of_any_allowed_size(tmp_path: Path, secrets: MemorySecrets, size: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"k" * size + b"\r\n")
    assert reveal(KEY, SecretRef("file", str(path)), {}, secrets) == "k" * size


BAD = [
    (SecretRef("secret", "OTHER"), "secret 'OTHER' is not there"),
    (SecretRef("env", "OTHER"), "env 'OTHER' is not set"),
    (SecretRef("env", "EMPTY"), "has 0 characters"),
    (SecretRef("env", "LARGE"), f"has {MAX_SECRET_CHARS + 1} characters"),
    (SecretRef("file", "missing"), "No such file"),
    (SecretRef("file", "."), "Is a directory"),
    (SecretRef("file", "binary"), "is not UTF-8"),
    (SecretRef("file", "empty"), "has 0 characters"),
    (SecretRef("file", "large"), "characters"),
]


@pytest.mark.parametrize(("reference", "message"), BAD)
def test_what_cannot_be_used_is_named_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: MemorySecrets, reference: SecretRef, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary").write_bytes(b"hidden\xff")
    Path("empty").write_bytes(b"\n")
    Path("large").write_bytes(b"hidden" * MAX_SECRET_CHARS)
    environ = {"EMPTY": "", "LARGE": "h" * (MAX_SECRET_CHARS + 1)}
    with pytest.raises(ConfigError) as refused:
        reveal(KEY, reference, environ, secrets)
    assert refused.value.key == KEY
    assert message in refused.value.message
    assert refused.value.hint
    assert "hidden" not in str(refused.value)
