"""ApplicationStorage and secrets in this process's memory: for tests and the simulator. Nothing outlives the object."""

import threading

from cordboard.storage.interface import (
    MAX_KEYS,
    Clock,
    IsSecret,
    IsSecretName,
    SecretNotFound,
    SecretValue,
    StorageItem,
    check_count,
    check_key,
    check_pattern,
    check_secret,
    check_ttl,
    check_value,
    expiry_date,
    namespace_of,
)


class MemoryStorage:
    """ApplicationStorage in a dict."""

    def __init__(self, clock: Clock, *, is_secret: IsSecretName = lambda name: False) -> None:
        self._clock = clock
        self._is_secret = is_secret
        self._lock = threading.Lock()
        self._items: dict[str, tuple[str, float | None]] = {}

    def get(self, key: str) -> StorageItem | None:
        """See ApplicationStorage.get."""
        check_key(key)
        self._refuse_secret(key)
        with self._lock:
            self._purge(self._clock())
            found = self._items.get(key)
        return None if found is None else StorageItem(key, found[0], expiry_date(found[1]))

    def put(self, key: str, value: str, ttl: int | None) -> StorageItem:
        """See ApplicationStorage.put."""
        check_key(key)
        check_value(value)
        check_ttl(ttl)
        self._refuse_secret(key)
        expires_at = None if ttl is None else self._clock() + ttl
        with self._lock:
            self._items[key] = (value, expires_at)
        return StorageItem(key, value, expiry_date(expires_at))

    def remove(self, key: str) -> bool:
        """See ApplicationStorage.remove."""
        check_key(key)
        with self._lock:
            self._purge(self._clock())
            return self._items.pop(key, None) is not None

    def keys(self, pattern: str | None = None, count: int = MAX_KEYS) -> list[str]:
        """See ApplicationStorage.keys."""
        check_pattern(pattern)
        check_count(count)
        with self._lock:
            self._purge(self._clock())
            return sorted(key for key in self._items if pattern is None or namespace_of(key) == pattern)[:count]

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()

    def _refuse_secret(self, key: str) -> None:
        if self._is_secret(key):
            raise IsSecret(key)

    def _purge(self, now: float) -> None:
        for key in [
            key for key, (_, expires_at) in self._items.items() if expires_at is not None and expires_at <= now
        ]:
            del self._items[key]


class MemorySecrets:
    """Secrets in a dict. Its repr shows no values."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, SecretValue] = {}
        self._versions: dict[str, int] = {}

    def put(self, name: str, value: str) -> int:
        """See Secrets.put."""
        check_secret(name, value)
        with self._lock:
            version = self._versions.get(name, 0) + 1
            self._versions[name] = version
            self._values[name] = SecretValue(value, version)
        return version

    def resolve(self, name: str) -> SecretValue:
        """See Secrets.resolve."""
        with self._lock:
            found = self._values.get(name)
        if found is None:
            raise SecretNotFound(name)
        return found

    def names(self) -> list[str]:
        """See Secrets.names."""
        with self._lock:
            return sorted(self._values)

    def remove(self, name: str) -> bool:
        """See Secrets.remove."""
        with self._lock:
            return self._values.pop(name, None) is not None

    def is_secret(self, name: str) -> bool:
        """See Secrets.is_secret."""
        with self._lock:
            return name in self._values

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
