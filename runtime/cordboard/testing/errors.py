"""What goes wrong in a test rather than in the call that it tests."""


class NoSuchCall(LookupError):
    """There is no such call, agent or session; the message says what there is."""


class NoAnswer(TimeoutError):
    """A control request was not answered within its limit."""


class NotInSimulator(NotImplementedError):
    """Something that the simulated edge cannot do yet; the message names it."""
