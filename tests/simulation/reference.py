"""What every entity ought to be: its journal folded by itself, without any of the runtime."""

import copy
from typing import Any

from actors.runtime.codec import KindCodec
from actors.runtime.replay import JournalGapError, meta_of
from storage.journal.interface import Row
from tests.simulation.strand import STRAND, Armed, Disarmed, Rang, Strand
from tests.simulation.world import World


class Alarm:
    """One armed timer: from which version on, when due, and what ended it (version 0: nothing yet)."""

    def __init__(self, name: str, due_ms: int, armed: int) -> None:
        self.name = name
        self.due_ms = due_ms
        self.armed = armed
        self.ended = 0
        self.rang = False


class Reference:
    """One entity's truth: `states[v]` and `views[v]` at each version, its rows, its alarms."""

    def __init__(self, entity: str, rows: list[Row]) -> None:
        codec = KindCodec(STRAND)
        self.entity = entity
        self.rows = rows
        self.states: list[Strand | None] = [None]
        self.views: list[Any] = [None]
        self.alarms: list[Alarm] = []
        self.by_command = {row.command_id: row for row in rows}
        self.by_correlation = {row.correlation: row for row in rows}
        state: Strand | None = None
        for at, row in enumerate(rows):
            if row.version != at + 1:
                raise JournalGapError(f"{entity}: v{row.version} stands at place {at + 1}")
            state = copy.copy(state)
            for event in codec.events(row.id, row.version, row.payload):
                state = STRAND.apply(state, event, meta_of(row))
                self._follow_alarms(event, row)
            assert state is not None
            self.states.append(state)
            self.views.append(STRAND.view(state, {}, row.version))

    @property
    def version(self) -> int:
        return len(self.rows)

    def chain(self, version: int) -> str:
        state = self.states[version]
        return state.chain if state is not None else ""

    def _follow_alarms(self, event: Any, row: Row) -> None:
        if isinstance(event, Armed | Disarmed | Rang):
            for alarm in self.alarms:
                if alarm.name == event.name and not alarm.ended:
                    alarm.ended = row.version
                    alarm.rang = isinstance(event, Rang)
        if isinstance(event, Armed):
            self.alarms.append(Alarm(event.name, event.due_ms, row.version))


def references(world: World, entities: list[str]) -> dict[str, Reference]:
    return {one: Reference(one, list(world.store.by_entity.get(("strand", one), ()))) for one in entities}
