"""Why a call to others did not work. All are `OSError`s: who sends mail or asks a provider knows those anyway."""


class OutgoingError(OSError):
    """`retry_after_ms`: when it may be worth another try; 0 if nobody knows."""

    retry_after_ms = 0


class UnreachableError(OutgoingError):
    """No answer, or not in time, or one that says the host is in trouble (5xx)."""


class CircuitOpenError(OutgoingError):
    """It was not asked: too many calls to this host failed just now."""

    def __init__(self, host: str, retry_after_ms: int) -> None:
        super().__init__(f"calls to {host} are suspended")
        self.retry_after_ms = retry_after_ms


class RefusedError(OutgoingError):
    """It breaks a rule of this house: the address, a redirect, the size of the answer."""
