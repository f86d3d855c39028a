"""The audit trail (C8): every read, search, export and denial of clinical data, by ids only.

Whoever reads clinical content waits until that is written down: no trail, no content.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypedDict, Unpack

import msgspec
import structlog

from actors.parties import is_known
from actors.runtime.entity import Actor
from domain.errors import Unavailable
from services.access.check import require, require_somewhere
from services.access.policy import Permission
from services.lookups import Clock
from storage.audit import Event, EventFilter

log = structlog.get_logger()

READ: Final = "read"
SEARCH: Final = "search"
LIST: Final = "list"

TREATMENT: Final = "treatment"
OPERATIONS: Final = "operations"
EMERGENCY: Final = "emergency"
OWN: Final = "own"
EXPORT: Final = "export"
PURPOSES: Final = (TREATMENT, OPERATIONS, EMERGENCY, OWN, EXPORT)
"""What something was done for: treating patients, running the place, an emergency (`services/access/emergency.py`),
one's own account, handing data out."""

EVENTS_WAITING_MAX: Final = 10_000
"""Events that a gateway has not written yet; past it, what would be audited is refused (503)."""
EVENTS_PER_BATCH_MAX: Final = 1_000
"""Events written in one transaction."""

assert EVENTS_PER_BATCH_MAX <= EVENTS_WAITING_MAX  # noqa: S101 - a batch is taken from what waits


class Verified(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of verifying events of the chain.

    `last`: the position up to which it is right. `head_position`, `head_hash` (hexadecimal): where the chain ends.
    `broken_at` and `reason` are of the first event that is wrong; 0 and "" if none is.
    """

    ok: bool
    checked: int
    last: int
    head_position: int
    head_hash: str
    broken_at: int = 0
    reason: str = ""


class AuditStore(Protocol):
    """Where events are kept, chained; they are only ever added. `add` and `events` are one transaction each."""

    async def add(self, events: Sequence[Event]) -> None: ...
    async def events(self, wanted: EventFilter, limit: int) -> Sequence[Event]:
        """Newest first."""

    async def verify(self, after: int, limit: int) -> Verified:
        """Check at most `limit` events of the chain after a position."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An object that was shown to somebody or refused to them, and whose it is."""

    kind: str
    id: str
    patient_id: str = ""
    organization_id: str = ""


class Said(TypedDict, total=False):
    """What an event may say besides, as in `Event`.

    Without a `purpose` somebody named without any role acts for themselves (`OWN`), everybody else for `OPERATIONS`.
    `before`, `after`: sensitive fields that were changed, by name; never a secret, addresses by `masked_email`.
    """

    outcome: str
    reason: str
    device: str
    correlation: str
    purpose: str
    grant_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class _Note(msgspec.Struct, frozen=True):
    """The events of one call, written together, and who waits for that."""

    events: tuple[Event, ...]
    written: "asyncio.Future[None]"


class Audit:
    """Writes events in batches: what comes in while one is being written is the next (group commit)."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[_Note] = deque()
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def note(
        self,
        actor: Actor,
        action: str,
        kind: str,
        id: str,
        *,
        patient_id: str = "",
        organization_id: str = "",
        **said: Unpack[Said],
    ) -> None:
        """Write one event down; returns when it is durable. Raises `Unavailable` when it cannot be."""
        seen = Seen(kind=kind, id=id, patient_id=patient_id, organization_id=organization_id)
        await self.note_all(actor, action, (seen,), **said)

    async def note_all(self, actor: Actor, action: str, objects: Sequence[Seen], **said: Unpack[Said]) -> None:
        """As `note`, for every object of one answer."""
        if not objects:
            return
        if self._count + len(objects) > EVENTS_WAITING_MAX:
            raise Unavailable("Too much waits to be audited.", code="audit_full", retry_after_ms=1_000)
        at_ms = self._clock.now_ms()
        details: dict[str, Any] = {
            **said,
            "purpose": said.get("purpose") or (OPERATIONS if is_known(actor) else OWN),
            "before": dict(said.get("before") or {}),
            "after": dict(said.get("after") or {}),
        }
        events = tuple(
            Event(
                at_ms=at_ms,
                actor=actor.subject,
                action=action,
                kind=seen.kind,
                object_id=seen.id,
                organization_id=seen.organization_id,
                patient_id=seen.patient_id,
                **details,
            )
            for seen in objects
        )
        loop = asyncio.get_running_loop()
        note = _Note(events, loop.create_future())
        self._waiting.append(note)
        self._count += len(events)
        if self._task is None:
            self._task = loop.create_task(self._write())
        await asyncio.shield(note.written)  # whoever gives up does not take their events back

    async def list(self, actor: Actor, wanted: EventFilter, limit: int) -> Sequence[Event]:
        """Newest first, of the actor's own organizations. Admins only; to all others there is no such thing."""
        organizations = require_somewhere(actor, Permission.AUDIT_READ)
        if not organizations:
            return ()
        own = msgspec.structs.replace(wanted, organization_ids=organizations)
        return await self._store.events(own, limit)

    async def verify(self, actor: Actor, after: int, limit: int) -> Verified:
        """Check a range of the installation's trail. Raises `NotFound` for all but who runs the platform."""
        require(actor, Permission.PLATFORM_RUN)
        found = await self._store.verify(after, limit)
        if not found.ok:
            log.error("audit_broken", position=found.broken_at, reason=found.reason)
        return found

    async def close(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None:
            await asyncio.wait((self._task,))

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft()]
                size = len(batch[0].events)
                while self._waiting and size + len(self._waiting[0].events) <= EVENTS_PER_BATCH_MAX:
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1].events)
                await self._write_batch(batch)
                self._count -= size
        finally:
            self._task = None

    async def _write_batch(self, batch: Sequence[_Note]) -> None:
        try:
            await self._store.add([event for note in batch for event in note.events])
        except Exception as error:
            for note in batch:
                note.written.set_exception(error)
                note.written.exception()  # whoever asked may have gone: that is no news to anybody else
        else:
            for note in batch:
                note.written.set_result(None)


def masked_email(email: str) -> str:
    """Enough to recognize an address by, for one who knows it: `a***@e***.com`."""
    name, _, domain = email.partition("@")
    host, dot, top = domain.rpartition(".")
    return f"{name[:1]}***@{host[:1]}***{dot}{top}"
