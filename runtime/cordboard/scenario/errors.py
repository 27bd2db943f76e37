"""What handlers may catch or meet (HANDLERS §1.1, table of errors)."""


class CommandFailed(Exception):
    """An awaited command or outside effect failed; the round goes on if the handler catches it."""

    def __init__(self, code: str, message: str, command: str) -> None:
        super().__init__(f"{command}: {code}: {message}")
        self.code = code
        """As `StepError.code`: call_ended, timeout, not_supported, refused, …"""
        self.message = message
        """What happened and what to do."""
        self.command = command
        """Wire type of the command."""


class NotSupported(CommandFailed):
    """The member or the far side cannot do this; raised when called where Cordboard has not built it."""


class ObjectEnded(CommandFailed):
    """The call, agent or recording is gone."""


class Refused(CommandFailed):
    """The edge does not allow it: a limit, a rule, or another one is running."""


class KeyNotFound(LookupError):
    """ApplicationStorage has no live item of this key."""


class BadRequest(ValueError):
    """The request's content is no JSON object; uncaught, the sender gets 400 and the call goes on."""


class ToolError(Exception):
    """What the agent shall read instead of a tool's result."""


class OutsideTurn(RuntimeError):
    """A command or a read outside the handler's own task; the message says what to write instead."""


class LimitExceeded(RuntimeError):
    """The event went beyond a limit of the contract: commands, or the size of a result, a reply or the state."""


class ReplayDiffers(BaseException):
    """The replay took another step than the earlier round. Not an Exception: no `except Exception` may go on."""


class NotRecorded(BaseException):
    """In a replay of a recorded call: a read that the call did not take. Not an Exception, as above."""


_BY_CODE: dict[str, type[CommandFailed]] = {
    "not_supported": NotSupported,
    "object_ended": ObjectEnded,
    "call_ended": ObjectEnded,
    "refused": Refused,
}


def command_failed(code: str, message: str, command: str) -> CommandFailed:
    """The error class that belongs to a step's error code."""
    return _BY_CODE.get(code, CommandFailed)(code, message, command)


def not_supported(member: str, command: str) -> NotSupported:
    """For a member that has a name and no body yet."""
    return NotSupported("not_supported", f"{member} is not built in this release of Cordboard", command)
