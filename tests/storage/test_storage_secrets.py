"""Secrets: limits, versions, what never prints, what is left in the file; both stores."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cordboard.storage.interface import (
    MAX_SECRET_CHARS,
    MAX_SECRET_NAME_CHARS,
    FileExposed,
    IsSecret,
    KeyInvalid,
    KeyTooLong,
    SecretNotFound,
    Secrets,
    SecretValue,
    StorageError,
    StorageUnavailable,
    ValueInvalid,
    ValueTooLong,
)
from cordboard.storage.memory import MemorySecrets, MemoryStorage
from cordboard.storage.parameter_store import ParameterStoreSecrets
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage

from .aws_double import Throttle, doubled, new_path, no_backoff


def throttled(secrets: ParameterStoreSecrets) -> ParameterStoreSecrets:
    Throttle(secrets)
    return secrets


STORES: dict[str, Callable[[Path], SecretStore | MemorySecrets | ParameterStoreSecrets]] = {
    "sqlite": lambda folder: SecretStore(folder / "secrets.sqlite"),
    "memory": lambda folder: MemorySecrets(),
    "parameter_store": lambda folder: ParameterStoreSecrets(new_path(), time.monotonic),
    "parameter_store, throttled": lambda folder: throttled(ParameterStoreSecrets(new_path(), time.monotonic)),
}


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with doubled(), no_backoff():
        yield


@pytest.fixture(params=STORES)
def secrets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secrets]:
    if request.param.startswith("parameter_store"):
        request.getfixturevalue("aws")
    opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()


def test_put_and_resolve(secrets: Secrets) -> None:
    stored = secrets.put("CARTESIA_API_KEY", "sk_1")
    value, version = secrets.resolve("CARTESIA_API_KEY")
    assert (value, version) == ("sk_1", stored)
    assert secrets.names() == ["CARTESIA_API_KEY"]
    assert secrets.is_secret("CARTESIA_API_KEY")


def test_versions_grow_and_are_never_used_twice(secrets: Secrets) -> None:
    first, second = secrets.put("K", "a"), secrets.put("K", "b")
    assert secrets.resolve("K") == SecretValue("b", second)
    assert secrets.remove("K")
    third = secrets.put("K", "a")
    assert first < second < third
    assert secrets.resolve("K") == SecretValue("a", third)


def test_a_removed_secret_is_gone(secrets: Secrets) -> None:
    secrets.put("K", "v")
    assert secrets.remove("K")
    assert not secrets.remove("K")
    assert not secrets.is_secret("K")
    assert secrets.names() == []
    with pytest.raises(SecretNotFound, match="cordboard keys put K --secret") as missing:
        secrets.resolve("K")
    assert missing.value.name == "K"


def test_names_are_sorted(secrets: Secrets) -> None:
    for name in ("b", "A", "a", "B1"):
        secrets.put(name, "v")
    assert secrets.names() == ["A", "B1", "a", "b"]


@pytest.mark.parametrize("name", ["", "a:b", "1a", "K" * 1_000, "\x00", "ключ", "\ud800"])
def test_names_that_no_secret_can_have_are_no_secrets(secrets: Secrets, name: str) -> None:
    assert not secrets.is_secret(name)
    assert not secrets.remove(name)
    with pytest.raises(SecretNotFound):
        secrets.resolve(name)


BAD: list[tuple[object, object, type[StorageError]]] = [
    ("", "v", KeyInvalid),
    ("1K", "v", KeyInvalid),
    ("K-1", "v", KeyInvalid),
    ("K\n", "v", KeyInvalid),
    ("Ключ", "v", KeyInvalid),
    (1, "v", KeyInvalid),
    ("K" * (MAX_SECRET_NAME_CHARS + 1), "v", KeyTooLong),
    ("K", "", ValueInvalid),
    ("K", "hidden\udc00", ValueInvalid),
    ("K", b"hidden", ValueInvalid),
    ("K", "hidden" * MAX_SECRET_CHARS, ValueTooLong),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD)
def test_bad_secrets_are_refused(secrets: Secrets, name: str, value: str, error: type[StorageError]) -> None:
    with pytest.raises(error) as refused:
        secrets.put(name, value)
    assert "hidden" not in str(refused.value)
    assert secrets.names() == []


def test_the_largest_secret_is_taken(secrets: Secrets) -> None:
    name, value = "K" * MAX_SECRET_NAME_CHARS, "v" * MAX_SECRET_CHARS
    secrets.put(name, value)
    assert secrets.resolve(name).value == value


def test_no_value_prints(secrets: Secrets) -> None:
    secrets.put("K", "hidden")
    resolved = secrets.resolve("K")
    for text in (repr(secrets), str(secrets), repr(resolved), str(resolved), f"{resolved}", repr([resolved])):
        assert "hidden" not in text
    assert repr(resolved) == f"SecretValue('***', version={resolved.version})"


def test_storage_asks_the_store_of_secrets(tmp_path: Path) -> None:
    with (
        SecretStore(tmp_path / "secrets.sqlite") as secrets,
        SqliteStorage(tmp_path / "storage.sqlite", lambda: 0.0, is_secret=secrets.is_secret) as storage,
    ):
        secrets.put("CARTESIA_API_KEY", "sk_1")
        with pytest.raises(IsSecret):
            storage.get("CARTESIA_API_KEY")
        assert storage.get("score:1") is None
        secrets.remove("CARTESIA_API_KEY")
        assert storage.get("CARTESIA_API_KEY") is None


def test_memory_storage_asks_the_store_of_secrets() -> None:
    secrets = MemorySecrets()
    secrets.put("K", "v")
    with pytest.raises(IsSecret):
        MemoryStorage(lambda: 0.0, is_secret=secrets.is_secret).get("K")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o601])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secrets.sqlite"
    SecretStore(path).close()
    path.chmod(mode)
    with pytest.raises(FileExposed, match=f"chmod 600 {path}"):
        SecretStore(path)
    path.chmod(0o600)
    SecretStore(path).close()


def test_a_removed_value_is_not_left_in_the_folder(tmp_path: Path) -> None:
    with SecretStore(tmp_path / "secrets.sqlite") as secrets:
        secrets.put("K", "first-value")
        secrets.put("K", "second-value")
        assert any(b"second-value" in found.read_bytes() for found in tmp_path.iterdir())
        secrets.remove("K")
        left = b"".join(found.read_bytes() for found in tmp_path.iterdir())
    assert b"first-value" not in left
    assert b"second-value" not in left


def test_secrets_outlive_the_process_and_a_closed_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "secrets.sqlite"
    store = SecretStore(path)
    store.put("K", "v")
    store.close()
    with pytest.raises(StorageUnavailable):
        store.resolve("K")
    with SecretStore(path) as again:
        assert again.resolve("K") == SecretValue("v", 1)
    assert [found.name for found in tmp_path.iterdir()] == ["secrets.sqlite"]
