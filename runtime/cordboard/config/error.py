"""The one error of this room."""


class ConfigError(Exception):
    """One mistake in the configuration: where it is, what it is, what to write instead."""

    def __init__(self, file: str | None, key: str, line: int | None, message: str, hint: str) -> None:
        place = ":".join(str(part) for part in (file, line) if part is not None)
        super().__init__(f"{place + ': ' if place else ''}{key + ': ' if key else ''}{message}\n{hint}")
        self.file = file
        """The file, `flag`, or the variable; None: no single place."""
        self.key = key
        """Dotted path; empty where the file as a whole is meant."""
        self.line = line
        """Line in the file, from 1; None where it is not known."""
        self.message = message
        """What is wrong."""
        self.hint = hint
        """What to do."""
