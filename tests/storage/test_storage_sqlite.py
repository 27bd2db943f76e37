"""What only the SQLite file has: processes that share it, a kill in mid-write, modes, schemas, broken files."""

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cordboard.storage.database import Database
from cordboard.storage.interface import MAX_VALUE_CHARS, StorageUnavailable, StoreTooNew
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import PURGE_ROWS, SqliteStorage

PREAMBLE = """
import sys
from pathlib import Path
from cordboard.storage.sqlite import SqliteStorage
path, who = Path(sys.argv[1]), sys.argv[2]
storage = SqliteStorage(path, lambda: 0.0, busy_timeout=30)
"""


def start(code: str, path: Path, who: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(path), who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def open_storage(path: Path) -> SqliteStorage:
    return SqliteStorage(path, lambda: 0.0)


def count_rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        row: tuple[int] = connection.execute("SELECT count(*) FROM item").fetchone()
        return row[0]
    finally:
        connection.close()


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    writer = """
        sys.stdin.readline()
        for number in range(100):
            storage.put(f"{who}:{number}", who, 60)
            storage.put("shared", who, 60)
        storage.close()
        print("done")
    """
    with start(writer, path, "a") as first, start(writer, path, "b") as second:
        for process in (first, second):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert first.communicate()[0] == second.communicate()[0] == "done\n"
    assert (first.returncode, second.returncode) == (0, 0)
    with open_storage(path) as storage:
        assert len(storage.keys("a")) == len(storage.keys("b")) == 100
        shared = storage.get("shared")
        assert shared is not None
        assert shared.value in {"a", "b"}
    assert [found.name for found in tmp_path.iterdir()] == ["storage.sqlite"]


def test_a_kill_in_mid_write_leaves_every_written_key_readable(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    writer = """
        for number in range(1_000_000):
            storage.put(f"k:{number}", str(number) * 100, 60)
            print(number, flush=True)
    """
    with start(writer, path, "w") as process:
        assert process.stdout is not None
        written = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        written += [int(line) for line in process.stdout.read().splitlines()]
    with open_storage(path) as storage:
        for number in written:
            item = storage.get(f"k:{number}")
            assert item is not None
            assert item.value == str(number) * 100
        storage.put("after", "v", 60)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_another_process_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    with open_storage(path) as mine, open_storage(path) as other:
        mine.put("k", "1", 60)
        item = other.get("k")
        assert item is not None
        assert item.value == "1"
        assert other.remove("k")
        assert mine.get("k") is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with open_storage(tmp_path / "storage.sqlite") as storage, SecretStore(tmp_path / "secrets.sqlite") as secrets:
            storage.put("k", "v", 60)
            secrets.put("K", "v")
            modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(
        ["storage.sqlite", "storage.sqlite-wal", "storage.sqlite-shm", "secrets.sqlite"], 0o600
    )


def test_it_closes_cleanly_and_says_so_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    storage = open_storage(path)
    storage.put("k", "v", 60)
    storage.close()
    storage.close()
    assert [found.name for found in tmp_path.iterdir()] == ["storage.sqlite"]
    for use in (lambda: storage.get("k"), lambda: storage.put("k", "v", 60), lambda: storage.remove("k"), storage.keys):
        with pytest.raises(StorageUnavailable):
            use()


def test_expired_rows_are_purged_by_puts_some_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    now = 0.0
    with SqliteStorage(path, lambda: now) as storage:
        for number in range(PURGE_ROWS + 5):
            storage.put(f"old:{number}", "v", 10)
        storage.put("lasting", "v", None)
        now = 10.0
        assert storage.keys() == ["lasting"]
        storage.put("new", "v", 10)
        assert count_rows(path) == 7
        storage.put("newer", "v", 10)
        assert count_rows(path) == 3


def test_a_locked_file_is_an_error_with_a_name_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    with SqliteStorage(path, lambda: 0.0, busy_timeout=0.01) as storage:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match=r"storage\.sqlite: database is locked"):
            storage.put("k", "v", 60)
        assert storage.get("k") is None  # readers do not wait for writers
        other.execute("ROLLBACK")
        other.close()
        storage.put("k", "v", 60)
        assert storage.get("k") is not None


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    open_storage(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="schema 99"):
        open_storage(path)
    assert path.read_bytes() == before


def test_migrations_run_once_each_and_keep_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "any.sqlite"
    first = ("CREATE TABLE t (a TEXT)",)
    second = ("ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x'", "UPDATE t SET b = a || '!'")
    one = Database(path, [first], journal="WAL")
    with one.writing() as connection:
        connection.execute("INSERT INTO t VALUES ('kept')")
    one.close()
    for _ in range(2):
        two = Database(path, [first, second], journal="WAL")
        with two.reading() as connection:
            assert connection.execute("SELECT a, b FROM t").fetchall() == [("kept", "kept!")]
        two.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "any.sqlite"
    first = ("CREATE TABLE t (a TEXT)",)
    Database(path, [first], journal="WAL").close()
    with pytest.raises(StorageUnavailable):
        Database(path, [first, ("ALTER TABLE t ADD COLUMN b TEXT", "NONSENSE")], journal="WAL")
    again = Database(path, [first], journal="WAL")
    with again.reading() as connection:
        assert connection.execute("SELECT * FROM t").description[0][0] == "a"
        assert len(connection.execute("SELECT * FROM t").description) == 1
    again.close()


def write_and_fail(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO t VALUES ('lost')")
        raise OSError("fails on purpose")


def test_a_transaction_that_fails_writes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "any.sqlite", [("CREATE TABLE t (a TEXT)",)], journal="WAL")
    with pytest.raises(StorageUnavailable, match="fails on purpose"):
        write_and_fail(database)
    with database.reading() as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == []
    database.close()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_broken_file_is_an_error_with_a_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "storage.sqlite"
    path.write_bytes(content)
    with pytest.raises(StorageUnavailable, match=r"storage\.sqlite"):
        open_storage(path)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "storage.sqlite"
    path.touch()
    with open_storage(path) as storage:
        storage.put("k", "v" * MAX_VALUE_CHARS, 60)
        assert storage.keys() == ["k"]


def test_a_missing_folder_is_an_error_with_a_name(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="nowhere"):
        open_storage(tmp_path / "nowhere" / "storage.sqlite")
