"""What a tablet hands out: edits with their results, and what its user should hear of."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from realtime.client.errors import LiveError
from realtime.client.outcome import Result
from realtime.client.queue import Body


@dataclass(eq=False, slots=True)
class Edit:
    """One edit: in the queue, and on the screen, from the moment it was made. `seq` changes with the queue's epoch."""

    seq: int
    ent: str
    op: str
    args: dict[str, Any]
    outcome: Result | None = None
    _waiting: set[asyncio.Future[Result]] = field(default_factory=set)
    _stopped: LiveError | None = None

    @classmethod
    def of(cls, seq: int, body: Body) -> "Edit":
        return cls(seq, body["ent"], body["op"], body["args"])

    async def result(self) -> Result:
        """Wait for it, over however many reconnects. Raises `LiveError` when the tablet was closed for good, or may
        not send; the edit stays in the queue, and its result can be asked for again."""
        if self.outcome is not None:
            return self.outcome
        if self._stopped is not None:
            raise self._stopped
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            return await future
        finally:
            self._waiting.discard(future)

    def settle(self, result: Result) -> None:
        self.outcome = result
        for future in self._waiting:
            if not future.done():
                future.set_result(result)

    def stop(self, error: LiveError | None) -> None:
        """There is no result to be expected; None: there is again."""
        self._stopped = error
        if error is None:
            return
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Changed:
    """An entity looks different now: `state` is what the person sees, None when it is known no more."""

    ent: str
    version: int
    state: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """An edit came to nothing (its result is `rejected`, perhaps `quarantined`), or to a `conflict` with both values
    kept. `key` names it until somebody has seen it (`Tablet.seen`)."""

    key: int
    edit: Edit

    @property
    def result(self) -> Result:
        if self.edit.outcome is None:
            raise ValueError("an edit without a result was not refused")
        return self.edit.outcome


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A channel is not shown to this person, or not any more."""

    channel: str
    code: str


@dataclass(frozen=True, slots=True)
class Linked:
    """Whether there is a connection now. `code`: how the last one ended; from 4500 on it does not come back by
    itself."""

    online: bool
    code: int = 0


Notice = Changed | Refused | Withdrawn | Linked
