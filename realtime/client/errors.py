"""What a live client raises.

LiveError
├── LiveClosedError        the server closed for good (4500-4999), or the client was closed
├── LiveRefusedError       one request was refused; the socket stays open
└── StoreError             the device's own storage does not do what it has to
    ├── ForeignStoreError  the file belongs to another person or another device
    ├── StoreBusyError     another process has the file open
    └── StoreTooNewError   a newer program wrote the file
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


class StoreError(LiveError):
    """A write failed (the disk is full, say). What was asked for has not happened; it can be tried again."""


class ForeignStoreError(StoreError):
    def __init__(self, path: object, what: str) -> None:
        super().__init__(f"{path} belongs to another {what}")


class StoreBusyError(StoreError):
    def __init__(self, path: object) -> None:
        super().__init__(f"{path} is open in another process")


class StoreTooNewError(StoreError):
    def __init__(self, path: object, version: int) -> None:
        super().__init__(f"{path} has schema {version}, written by a newer program")
