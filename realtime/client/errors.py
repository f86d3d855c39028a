"""What a live client raises.

LiveError
├── LiveClosedError        the server closed for good (4500-4999), or the client was closed
└── LiveRefusedError       one request was refused; the socket stays open
"""


class LiveError(Exception):
    pass


class LiveClosedError(LiveError):
    """`code` is the close code; 1000 when `close` was called. Commands stay in the queue."""

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"closed with {code} {reason}".rstrip())


class LiveRefusedError(LiveError):
    """`code` as in the `error` frame (`not_found`, `too_many_channels`, `no_device` …)."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        super().__init__(f"{code} {detail}".rstrip())
