"""What every ApplicationStorage backend must do, whichever it is: a new backend adds one row to BACKENDS."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.storage.dynamodb import DynamoStorage
from cordboard.storage.interface import (
    MAX_KEY_CHARS,
    MAX_KEYS,
    MAX_TTL,
    MAX_VALUE_CHARS,
    ApplicationStorage,
    CountOutOfRange,
    IsSecret,
    IsSecretName,
    KeyInvalid,
    KeyTooLong,
    StorageError,
    StorageItem,
    TtlOutOfRange,
    ValueInvalid,
    ValueTooLong,
)
from cordboard.storage.memory import MemoryStorage
from cordboard.storage.sqlite import SqliteStorage

from .aws_double import Throttle, doubled, make_table, no_backoff, put_like

NOON = 1_800_000_000.0  # 2027-01-15 08:00 UTC


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def open_sqlite(folder: Path, clock: Clock, is_secret: IsSecretName) -> SqliteStorage:
    return SqliteStorage(folder / "storage.sqlite", clock, is_secret=is_secret, busy_timeout=10)


def open_memory(folder: Path, clock: Clock, is_secret: IsSecretName) -> MemoryStorage:
    return MemoryStorage(clock, is_secret=is_secret)


def open_dynamodb(folder: Path, clock: Clock, is_secret: IsSecretName) -> DynamoStorage:
    table = make_table()
    return DynamoStorage(table, clock, is_secret=is_secret)


def open_throttled(folder: Path, clock: Clock, is_secret: IsSecretName) -> DynamoStorage:
    storage = open_dynamodb(folder, clock, is_secret)
    Throttle(storage)
    return storage


Backend = Callable[[Path, Clock, IsSecretName], SqliteStorage | MemoryStorage | DynamoStorage]
BACKENDS: dict[str, Backend] = {
    "sqlite": open_sqlite,
    "memory": open_memory,
    "dynamodb": open_dynamodb,
    "dynamodb, throttled": open_throttled,
}


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with doubled(), no_backoff():
        yield


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param.startswith("dynamodb"):
        request.getfixturevalue("aws")
    return BACKENDS[request.param]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secret_names() -> set[str]:
    return set()


@pytest.fixture
def storage(backend: Backend, tmp_path: Path, clock: Clock, secret_names: set[str]) -> Iterator[ApplicationStorage]:
    opened = backend(tmp_path, clock, lambda name: name in secret_names)
    yield opened
    opened.close()


def test_a_key_never_put_is_a_miss(storage: ApplicationStorage) -> None:
    assert storage.get("CARTESIA_AGENT_ID") is None
    assert storage.keys() == []


def test_put_then_get(storage: ApplicationStorage) -> None:
    item = storage.put("CARTESIA_AGENT_ID", "agent_1", 60)
    assert item == StorageItem("CARTESIA_AGENT_ID", "agent_1", datetime(2027, 1, 15, 8, 1, tzinfo=UTC))
    assert storage.get("CARTESIA_AGENT_ID") == item


def test_without_ttl_an_item_stays(storage: ApplicationStorage, clock: Clock) -> None:
    storage.put("PSTN_CALLER_ID", "+15550001111", None)
    clock.now += 100 * MAX_TTL
    assert storage.get("PSTN_CALLER_ID") == StorageItem("PSTN_CALLER_ID", "+15550001111", None)


def test_a_second_put_replaces_value_and_expiry(storage: ApplicationStorage, clock: Clock) -> None:
    storage.put("k", "old", 10)
    clock.now += 9
    storage.put("k", "new", 10)
    clock.now += 9
    item = storage.get("k")
    assert item is not None
    assert item.value == "new"
    storage.put("k", "newest", None)
    assert storage.get("k") == StorageItem("k", "newest", None)
    assert storage.keys() == ["k"]


@pytest.mark.parametrize("ttl", [1, 60, MAX_TTL])
def test_an_item_is_gone_from_the_second_it_expires(storage: ApplicationStorage, clock: Clock, ttl: int) -> None:
    storage.put("k", "v", ttl)
    clock.now = NOON + ttl - 0.001
    assert storage.get("k") is not None
    assert storage.keys() == ["k"]
    clock.now = NOON + ttl
    assert storage.get("k") is None
    assert storage.keys() == []
    assert not storage.remove("k")


def test_ttl_zero_is_gone_at_once(storage: ApplicationStorage) -> None:
    storage.put("k", "v", 60)
    storage.put("k", "v", 0)
    assert storage.get("k") is None


def test_an_expired_key_can_be_put_again(storage: ApplicationStorage, clock: Clock) -> None:
    storage.put("k", "old", 1)
    clock.now += 1
    assert storage.get("k") is None
    storage.put("k", "new", 1)
    item = storage.get("k")
    assert item is not None
    assert item.value == "new"


def test_remove_says_whether_something_was_there(storage: ApplicationStorage) -> None:
    storage.put("k", "v", 60)
    assert storage.remove("k")
    assert not storage.remove("k")
    storage.put("for-ever", "v", None)
    assert storage.remove("for-ever")
    assert storage.get("for-ever") is None
    assert storage.get("k") is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "0",
        "null",
        "Überraschung",
        "日本語",
        "🙂" * 10,
        "a\x00b",
        "line\r\nline",
        "'; DROP TABLE item; --",
        "é",
        "e\u0301",
    ],
)
def test_values_come_back_as_they_were(storage: ApplicationStorage, value: str) -> None:
    storage.put("k", value, 60)
    item = storage.get("k")
    assert item is not None
    assert item.value == value


@given(value=st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_any_text_comes_back(value: str) -> None:
    storage = MemoryStorage(Clock())
    storage.put("k", value, 1)
    item = storage.get("k")
    assert item is not None
    assert item.value == value


@pytest.mark.parametrize(
    "key", ["a", "Ключ:ёЁ", "a_b-c:d;e.f#g+h", "+15550001111", "0", ":", ":x", "k" * MAX_KEY_CHARS]
)
def test_keys_of_the_alphabet_are_taken(storage: ApplicationStorage, key: str) -> None:
    storage.put(key, "v", 60)
    assert storage.keys() == [key]
    assert storage.remove(key)


BAD_KEYS: list[tuple[object, type[StorageError]]] = [
    ("", KeyInvalid),
    ("a b", KeyInvalid),
    ("a/b", KeyInvalid),
    ("a*", KeyInvalid),
    ("a\n", KeyInvalid),
    ("ключ\x00", KeyInvalid),
    ("ü", KeyInvalid),
    ("\ud800", KeyInvalid),
    (b"k", KeyInvalid),
    (None, KeyInvalid),
    ("k" * (MAX_KEY_CHARS + 1), KeyTooLong),
]


@pytest.mark.parametrize(("key", "error"), BAD_KEYS)
def test_bad_keys_are_refused_everywhere(storage: ApplicationStorage, key: str, error: type[StorageError]) -> None:
    for use in (storage.get, storage.remove, lambda bad: storage.put(bad, "v", 60)):
        with pytest.raises(error):
            use(key)
    assert storage.keys() == []


@pytest.mark.parametrize(
    ("value", "error"),
    [("v" * (MAX_VALUE_CHARS + 1), ValueTooLong), ("a\udc00", ValueInvalid), (5, ValueInvalid), (None, ValueInvalid)],
)
def test_bad_values_are_refused(storage: ApplicationStorage, value: str, error: type[StorageError]) -> None:
    with pytest.raises(error) as refused:
        storage.put("k", value, 60)
    assert str(value)[:20] not in str(refused.value) or value is None
    assert storage.get("k") is None


def test_the_longest_value_is_taken(storage: ApplicationStorage) -> None:
    longest = "🙂" * MAX_VALUE_CHARS
    storage.put("k", longest, 60)
    item = storage.get("k")
    assert item is not None
    assert item.value == longest


@pytest.mark.parametrize("ttl", [-1, MAX_TTL + 1, 1.5, "60", True, float("nan")])
def test_bad_ttls_are_refused(storage: ApplicationStorage, ttl: int) -> None:
    with pytest.raises(TtlOutOfRange):
        storage.put("k", "v", ttl)
    assert storage.get("k") is None


PATTERNS: list[tuple[str | None, list[str]]] = [
    (None, ["Test:1", "score:", "score:1", "score:2:b", "scores:1", "test", "test:1"]),
    ("score", ["score:", "score:1", "score:2:b"]),
    ("scores", ["scores:1"]),
    ("test", ["test", "test:1"]),
    ("Test", ["Test:1"]),
    ("scor", []),
    ("score.", []),
]


@pytest.mark.parametrize(("pattern", "found"), PATTERNS)
def test_a_pattern_is_a_namespace(storage: ApplicationStorage, pattern: str | None, found: list[str]) -> None:
    for key in ["test:1", "scores:1", "score:2:b", "test", "score:1", "Test:1", "score:"]:
        storage.put(key, "v", 60)
    assert storage.keys(pattern) == found
    assert storage.keys(pattern, count=1) == found[:1]


@pytest.mark.parametrize("pattern", ["score:", "score:1", "*", "score*", "%", "", " "])
def test_a_pattern_that_is_no_namespace_is_refused(storage: ApplicationStorage, pattern: str) -> None:
    with pytest.raises(KeyInvalid):
        storage.keys(pattern)


@pytest.mark.parametrize("count", [0, -1, MAX_KEYS + 1, 1.0, True])
def test_bad_counts_are_refused(storage: ApplicationStorage, count: int) -> None:
    with pytest.raises(CountOutOfRange):
        storage.keys(count=count)


def test_a_thousand_keys_and_one_more(storage: ApplicationStorage) -> None:
    names = sorted(f"n{number % 7}:{number}" for number in range(MAX_KEYS + 1))
    storage.put(names[-1], names[-1], 60)
    if isinstance(storage, DynamoStorage):
        put_like(storage._table, names[-1], [(name.partition(":")[0], name) for name in names[:-1]])
    else:
        for name in reversed(names[:-1]):
            storage.put(name, name, 60)
    assert storage.get(names[0]) == StorageItem(names[0], names[0], datetime(2027, 1, 15, 8, 1, tzinfo=UTC))
    assert storage.keys() == names[:MAX_KEYS]
    assert storage.keys("n3") == [name for name in names if name.startswith("n3:")]
    assert storage.keys(count=10) == names[:10]


def test_a_secret_is_neither_read_nor_shadowed(storage: ApplicationStorage, secret_names: set[str]) -> None:
    storage.put("CARTESIA_API_KEY", "sk_old", 60)
    secret_names.add("CARTESIA_API_KEY")
    with pytest.raises(IsSecret, match=r"session\.secret\('CARTESIA_API_KEY'\)") as refused:
        storage.get("CARTESIA_API_KEY")
    assert refused.value.name == "CARTESIA_API_KEY"
    with pytest.raises(IsSecret):
        storage.put("CARTESIA_API_KEY", "sk_new", 60)
    assert storage.remove("CARTESIA_API_KEY")  # the way to clean up what stood there before
    assert storage.keys() == []


def test_threads_may_share_one_storage(storage: ApplicationStorage) -> None:
    def write(thread: int) -> list[str | None]:
        seen: list[str | None] = []
        for number in range(25):
            storage.put(f"t{thread}:{number}", f"{thread}/{number}", 60)
            item = storage.get(f"t{thread}:{number}")
            seen.append(None if item is None else item.value)
        return seen

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(write, range(4)))
    assert answers == [[f"{thread}/{number}" for number in range(25)] for thread in range(4)]
    assert len(storage.keys()) == 100
