"""Who waits for an entity that cannot take turns now: it is being loaded, or its journal is being looked into."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from actors.runtime.cell import Cell
from actors.runtime.turns import Sink
from actors.runtime.wire import FAILED, RETRY, Envelope, Reply
from domain.errors import Failure

if TYPE_CHECKING:
    from storage.journal.interface import Reminder


class Mailbox:
    """Requests in the order they came, and timers that rang meanwhile."""

    __slots__ = ("cell", "timers", "waiting")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.waiting: list[tuple[Envelope, Sink]] = []
        self.timers: list[Reminder] = []


class Mailboxes:
    """The mailboxes of one host, by `kind/id`. `queued` counts all requests that wait in them."""

    def __init__(self) -> None:
        self.queued = 0
        self._open: dict[str, Mailbox] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def __len__(self) -> int:
        return len(self._open)

    def get(self, key: str) -> Mailbox | None:
        return self._open.get(key)

    def open(self, key: str, cell: Cell) -> Mailbox:
        """From now on whoever asks for this entity waits."""
        mailbox = self._open[key] = Mailbox(cell)
        return mailbox

    def wait(self, mailbox: Mailbox, env: Envelope, sink: Sink) -> None:
        self.queued += 1
        mailbox.waiting.append((env, sink))

    def queued_by_kind(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for mailbox in self._open.values():
            counts[mailbox.cell.kind] += len(mailbox.waiting)
        return counts

    def close(self, key: str, mailbox: Mailbox) -> bool:
        """End the waiting; False when this mailbox was sent away before. Those who wait are the caller's then."""
        if self._open.get(key) is not mailbox:
            return False
        del self._open[key]
        self.queued -= len(mailbox.waiting)
        return True

    def close_shards(self, shards: Iterable[int]) -> list[Mailbox]:
        """End all mailboxes of entities in these shards."""
        gone = set(shards)
        found = [(key, mailbox) for key, mailbox in self._open.items() if mailbox.cell.shard in gone]
        return [mailbox for key, mailbox in found if self.close(key, mailbox)]

    def close_all(self) -> list[Mailbox]:
        return [mailbox for key, mailbox in list(self._open.items()) if self.close(key, mailbox)]


def send_away(mailbox: Mailbox, failure: Failure | None = None) -> None:
    """Answer who waits: try again, or with a failure that trying again will not mend."""
    for env, sink in mailbox.waiting:
        sink(Reply(env.corr, RETRY) if failure is None else Reply(env.corr, FAILED, failure=failure))
