"""What has been taken back, as one process knows it: asked at every request, so it is a look into a dict."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from storage.accounts.revocations import Ending, Revocation

ENTRIES_MAX: Final = 100_000
"""Past it the oldest go, and with them every token of people from before: they refresh it, once."""


class Ticket(Protocol):
    """What speaks for somebody: an access token or an API key that was verified."""

    @property
    def login(self) -> str:
        """The login or the key, "" for neither."""

    @property
    def subject(self) -> str: ...
    @property
    def organizations(self) -> tuple[str, ...]: ...
    @property
    def issued_ms(self) -> int: ...


class RevocationList:
    """`version` rises whenever something was taken back that was not before."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._ended: dict[str, Revocation] = {}
        self._outdated: dict[str, Revocation] = {}
        self._floor_ms = 0
        self.version = 0

    def __len__(self) -> int:
        return len(self._ended) + len(self._outdated)

    def ending(self, ticket: Ticket) -> Ending | None:
        """None while it holds; `ENDED` for good, `OUTDATED` when a fresh one may be had at once."""
        if not self._ended and not self._outdated:
            return None
        issued = ticket.issued_ms
        for id_ in (ticket.login, ticket.subject):
            found = self._ended.get(id_)
            if found is not None and issued <= found.cutoff_ms:
                return Ending.ENDED
        if self._outdated:
            for id_ in (ticket.login, ticket.subject, *ticket.organizations):
                found = self._outdated.get(id_)
                if found is not None and issued <= found.cutoff_ms:
                    return Ending.OUTDATED
        return Ending.OUTDATED if issued <= self._floor_ms and ticket.login else None

    def add(self, revocations: Iterable[Revocation]) -> list[Revocation]:
        """Returns those that say something new."""
        new = [each for each in revocations if self._put(each)]
        if new:
            self.version += 1
        while len(self) > self._entries_max:
            self._drop_oldest()
        return new

    def reach_back_to(self, moment_ms: int) -> None:
        """Earlier revocations are not known here: what a login was given before is not believed."""
        if moment_ms > self._floor_ms:
            self._floor_ms = moment_ms
            self.version += 1

    def forget(self, now_ms: int) -> None:
        """What would have run out by now anyway."""
        for entries in (self._ended, self._outdated):
            for id_ in [id_ for id_, each in entries.items() if each.expires_ms <= now_ms]:
                del entries[id_]

    def _put(self, new: Revocation) -> bool:
        entries = self._ended if new.kind is Ending.ENDED else self._outdated
        old = entries.get(new.id)
        if old is not None and old.cutoff_ms >= new.cutoff_ms:
            return False
        entries.pop(new.id, None)
        entries[new.id] = new
        return True

    def _drop_oldest(self) -> None:
        oldest = min(self._firsts(), key=lambda one: one.expires_ms)
        entries = self._ended if oldest.kind is Ending.ENDED else self._outdated
        del entries[oldest.id]
        self.reach_back_to(oldest.recorded_ms)

    def _firsts(self) -> Iterator[Revocation]:
        for entries in (self._ended, self._outdated):
            if entries:
                yield next(iter(entries.values()))
