"""What stands in the database, as figures: read now and then by the reactor, of which one runs."""

import asyncio
from collections import Counter
from typing import Final, Protocol

import structlog

from actors.order_status import OrderStatus
from actors.room_status import RoomStatus
from actors.runtime.figures import Sample
from actors.session_state import SessionStatus
from storage.figures import OrderFigures, StoredFigures

log = structlog.get_logger()

READ_SECONDS: Final = 30.0

_NO_REVENUE: Final = frozenset(
    {OrderStatus.PENDING_PAYMENT, OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED}
)


class Figures(Protocol):
    async def read(self) -> StoredFigures: ...


class Standing:
    """`samples` are those of the last time it could be read; none while the database is away for longer."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self.samples: list[Sample] = []

    async def read_forever(self) -> None:
        while True:
            await self.read()
            await asyncio.sleep(READ_SECONDS)

    async def read(self) -> None:
        try:
            self.samples = samples_of(await self._figures.read())
        except Exception as error:
            log.warning("figures_not_read", error=type(error).__name__)
            self.samples = []


def samples_of(stored: StoredFigures) -> list[Sample]:
    """Each status has a series, also when nothing is in it: a series that vanishes looks like a failure."""
    samples = [
        Sample("atrium_reminders_overdue", (), stored.reminders_overdue),
        Sample("atrium_quarantined_commands", (), stored.quarantined),
        Sample("atrium_document_conflicts_open", (), stored.conflicts),
    ]
    for reaction in stored.reactions:
        samples += [
            Sample("atrium_reaction_lag_seconds", (reaction.name,), max(0.0, reaction.lag_seconds)),
            Sample("atrium_reaction_retries", (reaction.name,), reaction.retries),
            Sample("atrium_dead_letters", (reaction.name,), reaction.dead_letters),
        ]
    samples += [Sample("atrium_provider_sessions", (one,), stored.sessions.get(one, 0)) for one in SessionStatus]
    samples += [Sample("atrium_rooms", (one,), stored.rooms.get(one, 0)) for one in RoomStatus]
    samples += [Sample("atrium_jobs", (one.kind, one.status), one.number) for one in stored.jobs]
    waiting = max((one.waiting_seconds for one in stored.jobs), default=0.0)
    samples.append(Sample("atrium_jobs_waiting_seconds", (), max(0.0, waiting)))
    return samples + _orders(stored.orders)


def _orders(orders: tuple[OrderFigures, ...]) -> list[Sample]:
    numbers: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for one in orders:
        numbers[one.status] += one.number
        totals[one.currency] += 0 if one.status in _NO_REVENUE else one.total_minor
    samples = [Sample("atrium_orders_last_day", (status,), numbers[status]) for status in OrderStatus]
    return samples + [
        Sample("atrium_revenue_last_day_minor_units", (currency,), total) for currency, total in sorted(totals.items())
    ]
