"""How a verb fails: an exit code and two lines, what is wrong and what to do (HANDLERS §2.1)."""

from typing import Final

GOOD: Final = 0
BAD: Final = 1
"""The thing asked about is bad: a check, a refused call."""
USAGE: Final = 2
"""Usage or configuration."""
NO_EDGE: Final = 3
"""No edge could be reached."""
NOT_FOUND: Final = 4
INTERRUPTED: Final = 130


class CliError(Exception):
    """Ends the command."""

    def __init__(self, code: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        """Exit code."""
        self.message = message
        """What is wrong."""
        self.hint = hint
        """What to do."""
