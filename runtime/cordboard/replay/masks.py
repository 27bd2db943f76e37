"""Equality of what was recorded, where `***` stands for what may not be written, and what is answered today.

What goes to a handler gets a control URL whose token means nothing in place of the masked one, for a command refuses a
redacted URL.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cordboard.contract.journal import MASK

TOKEN: Final = "replayed"  # noqa: S105 (it opens nothing)
"""In place of the token of a control URL."""
GUESSES: Final = tuple(digit * 7 for digit in "0123456789")
"""What masked digits might have been; nothing else looks like them."""
_REDACTED: Final = f"/control/{MASK}"
_FILLED: Final = f"/control/{TOKEN}"


def fill(value: Any, guess: str = MASK) -> Any:
    """A recorded JSON value as a handler may have it; `guess` stands for what else is masked."""
    if isinstance(value, str):
        return value.replace(_REDACTED, _FILLED).replace(MASK, guess)
    if isinstance(value, Mapping):
        return {fill(key, guess): fill(item, guess) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(item, guess) for item in value]
    return value


def without(value: Any, guess: str) -> Any:
    """A value of today's with the mask again where the guess stood."""
    if isinstance(value, str):
        return value.replace(guess, MASK)
    if isinstance(value, Mapping):
        return {without(key, guess): without(item, guess) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(item, guess) for item in value]
    return value


def same(recorded: Any, today: Any) -> bool:
    """Whether two JSON values are equal as far as the record tells."""
    if recorded == MASK:
        return True
    if isinstance(recorded, str) and isinstance(today, str):
        return _fits(recorded, today)
    if isinstance(recorded, Mapping) and isinstance(today, Mapping):
        if recorded.keys() == today.keys():
            return all(same(item, today[key]) for key, item in recorded.items())
        return len(recorded) == len(today) and all(  # a masked key: whatever it hides comes in the same place
            same(left, right) and same(recorded[left], today[right])
            for left, right in zip(recorded, today, strict=True)
        )
    if isinstance(recorded, (list, tuple)) and isinstance(today, (list, tuple)):
        return len(recorded) == len(today) and all(map(same, recorded, today))
    return type(recorded) is type(today) and bool(recorded == today)


def masks(value: Any, path: str) -> Iterator[str]:
    """Paths of the texts in a filled value that still hide something."""
    if isinstance(value, str):
        if MASK in value:
            yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from masks(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from masks(item, f"{path}[{index}]")


def holds_token(value: Any) -> bool:
    """Whether a value of today's holds the filled-in control URL, or a mask."""
    if isinstance(value, str):
        return _FILLED in value or MASK in value
    if isinstance(value, Mapping):
        return any(holds_token(key) or holds_token(item) for key, item in value.items())
    return isinstance(value, (list, tuple)) and any(map(holds_token, value))


def changes(recorded: Any, today: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """(path, then, now) of every leaf that is not the same; None where it is absent."""
    if same(recorded, today):
        return
    if isinstance(recorded, Mapping) and isinstance(today, Mapping):
        for key in dict.fromkeys((*recorded, *today)):
            yield from changes(recorded.get(key), today.get(key), f"{path}.{key}")
    else:
        yield path, recorded, today


def _fits(recorded: str, today: str) -> bool:
    """`***` stands for any text; found from the left, which takes time in proportion to the texts."""
    if MASK not in recorded:
        return recorded == today
    first, *middle, last = recorded.split(MASK)
    if not today.startswith(first) or not today.endswith(last) or len(today) < len(first) + len(last):
        return False
    at, end = len(first), len(today) - len(last)
    for part in middle:
        found = today.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
