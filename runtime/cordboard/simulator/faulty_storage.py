"""ApplicationStorage as handlers of a simulated world meet it: the store in memory, and moments in which it is down."""

from cordboard.storage.interface import MAX_KEYS, ApplicationStorage, StorageItem, StorageUnavailable

from .faults import Faults


class FaultyStorage:
    """Asks chance before each operation. Raises StorageUnavailable where it says so."""

    def __init__(self, storage: ApplicationStorage, faults: Faults) -> None:
        self._storage = storage
        self._faults = faults

    def get(self, key: str) -> StorageItem | None:
        """See ApplicationStorage.get."""
        self._meet(key)
        return self._storage.get(key)

    def put(self, key: str, value: str, ttl: int | None) -> StorageItem:
        """See ApplicationStorage.put."""
        self._meet(key)
        return self._storage.put(key, value, ttl)

    def remove(self, key: str) -> bool:
        """See ApplicationStorage.remove."""
        self._meet(key)
        return self._storage.remove(key)

    def keys(self, pattern: str | None = None, count: int = MAX_KEYS) -> list[str]:
        """See ApplicationStorage.keys."""
        self._meet(pattern or "*")
        return self._storage.keys(pattern, count)

    def _meet(self, key: str) -> None:
        if self._faults.happens("storage down", key):
            raise StorageUnavailable("the simulated storage does not answer")
