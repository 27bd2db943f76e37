"""Values that must not be printed: a secret by name, and the control URL."""

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from cordboard.contract.commands import SecretReference
from cordboard.contract.journal import MASK, MIN_SECRET

from .turn import Turn

_TOKEN = re.compile(r"(/control/)[^/?#]+")
REDACTED = "/control/***"
"""What stands in a text where a control URL's token stood."""


class Secret:
    """A secret by its name; the edge resolves it where a command needs it. Prints `***`."""

    def __init__(self, name: str) -> None:
        if not name:
            raise ValueError("a secret's name is a text that is not empty")
        self.name = name

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> NoReturn:
        raise TypeError(
            f"secret {self.name!r} has no text; hand it to a command as it is, or use: await secret.reveal()"
        )

    def __format__(self, spec: str) -> NoReturn:
        str(self)
        raise AssertionError("unreachable")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"secret {self.name!r} cannot be pickled")

    async def reveal(self) -> str:
        """The value, for the handler's own requests. Journalled by name and version, never by value.

        Raises StorageError (SecretNotFound); a version that changes within one event fails the event.
        """
        return await Turn.require("secret.reveal()").reveal(self.name)

    def reference(self) -> SecretReference:
        """What travels in a command."""
        return SecretReference(self.name)


class ControlUrl(str):
    """The session's control URL. Prints, formats and logs without its token; whole in a command's arguments.

    `url + "/verb"` and `url[:]` are whole; an f-string is not, and a command refuses what one made of it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redact(self.whole()))

    def __str__(self) -> str:
        return redact(self.whole())

    def __format__(self, spec: str) -> str:
        return format(redact(self.whole()), spec)

    def __add__(self, other: str) -> "ControlUrl":
        return ControlUrl(self.whole() + other)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a control URL cannot be pickled")

    def whole(self) -> str:
        """The URL with its token."""
        return str.__str__(self)


def redact(text: str, revealed: Iterable[str] = ()) -> str:
    """The text with the token of every control URL in it replaced, and each of these values."""
    text = _TOKEN.sub(rf"\1{MASK}", text)
    for value in sorted(revealed, key=len, reverse=True):  # one may be a part of another
        if len(value) >= MIN_SECRET:
            text = text.replace(value, MASK)
    return text


def whole(value: Any) -> Any:
    """A command's argument with every ControlUrl in it as a plain text. Raises ValueError where one was redacted."""
    if isinstance(value, ControlUrl):
        return value.whole()
    if isinstance(value, str):
        if REDACTED in value:
            raise ValueError("an argument holds a redacted control URL: join it with + instead of an f-string or str()")
        return value
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value
