"""What goes wrong in a test rather than in the call that it tests."""


class NoSuchCall(LookupError):
    """There is no such call, agent or session; the message says what there is."""


class NoAnswer(TimeoutError):
    """A control request or a tool call was not answered within its limit."""


class NeverHappened(TimeoutError):
    """What `advance_until` waited for did not come within its limit."""


class ToolRefused(Exception):
    """A tool's result is an error, which the agent reads."""

    def __init__(self, tool: str, message: str, error_type: str) -> None:
        super().__init__(f"{tool}: {message}")
        self.tool = tool
        """Its name."""
        self.message = message
        """What the agent reads."""
        self.error_type = error_type
        """`tool_error`, `invalid_arguments`, …; an HTTP status where the answer names none."""
