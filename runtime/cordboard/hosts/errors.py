"""Why an invocation brought no answer, and why a release cannot be loaded."""


class FunctionError(Exception):
    """Base: the round is lost or refused; none of its commands is executed. `function` is its name."""

    def __init__(self, function: str, message: str) -> None:
        super().__init__(f"{function}: {message}")
        self.function = function
        self.message = message


class FunctionTimeout(FunctionError):
    """No answer within the limit; the worker was killed. The edge may try once more."""


class FunctionCrashed(FunctionError):
    """The worker's process ended in the middle of a round. The edge may try once more."""


class FunctionThrottled(FunctionError):
    """AWS has no room for the invocation at this moment (429). The edge may try once more."""


class FunctionRaised(FunctionError):
    """An error outside of the contract: the module cannot be imported, or no answer record came back."""


class AnswerTooLarge(FunctionError):
    """The answer is larger than MAX_ANSWER."""


class RequestTooLarge(FunctionError):
    """The invocation is larger than MAX_REQUEST; no function was asked."""


class NoSuchFunction(FunctionError):
    """The release has no function of this name, or is not held any more."""


class TemplateError(Exception):
    """template.yaml cannot be used; the message names file and key."""


class ReleaseError(Exception):
    """The functions do not fit each other; the message names them."""
