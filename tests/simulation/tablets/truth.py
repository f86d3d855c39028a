"""What every entity ought to be: its journal folded by itself, without any of the runtime."""

from typing import TYPE_CHECKING, Any, NamedTuple

from actors.kinds import KINDS
from actors.runtime.codec import KindCodec
from actors.runtime.local import LOCAL_KEYS
from actors.runtime.replay import JournalGapError, meta_of
from storage.journal.interface import Row
from tests.simulation.tablets.town import decoded

if TYPE_CHECKING:
    from tests.simulation.tablets.apps import App
    from tests.simulation.tablets.town import Town

CODECS: dict[str, KindCodec[Any]] = {
    name: KindCodec(kind, LOCAL_KEYS) for name, kind in KINDS.items() if name in {"room", "session", "document"}
}


class Fact(NamedTuple):
    """One row of a journal, read."""

    row: Row
    events: tuple[Any, ...]
    reply: dict[str, Any] | None


class Fold:
    """One entity, row after row."""

    def __init__(self, kind: str, id: str) -> None:
        self.kind = kind
        self.id = id
        self.facts: list[Fact] = []
        self.state: Any = None
        self._seen: tuple[int, Any] = (0, None)

    @property
    def ent(self) -> str:
        return f"{self.kind}/{self.id}"

    @property
    def version(self) -> int:
        return len(self.facts)

    def catch_up(self, rows: list[Row]) -> "Fold":
        codec = CODECS[self.kind]
        for row in rows[self.version :]:
            if row.version != self.version + 1:
                raise JournalGapError(f"{self.ent}: v{row.version} stands at place {self.version + 1}")
            events = codec.events(row.id, row.version, row.payload)
            self.facts.append(Fact(row, events, codec.reply(row.id, row.version, row.payload)))
            for event in events:
                self.state = codec.kind.apply(self.state, event, meta_of(row))
        return self

    def view(self) -> Any:
        if self._seen[0] != self.version:
            self._seen = (self.version, decoded(CODECS[self.kind].kind.view(self.state, {}, self.version)))
        return self._seen[1]

    def groups(self) -> tuple[str, ...]:
        return CODECS[self.kind].kind.groups(self.state)


def truth(town: "Town") -> dict[str, Fold]:
    """`kind/id` → its fold, up to the newest row."""
    for (kind, id_), rows in list(town.world.store.by_entity.items()):
        if rows and kind in CODECS:
            town.folds.setdefault(f"{kind}/{id_}", Fold(kind, id_)).catch_up(rows)
    return town.folds


def differences(town: "Town", app: "App") -> str:
    """In what a tablet's replicas differ from the truth, "" in nothing."""
    folds = truth(town)
    for channel, replica in app.live._replicas.items():
        if not replica.current:
            return f"{channel} is not current"
        wanted = _members(folds, channel)
        known = {ent: known.version for ent, known in replica.entities.items()}
        if set(known) != wanted:
            return f"{channel} shows {sorted(known)}, it has {sorted(wanted)}"
        for ent, one in replica.entities.items():
            if one.version != folds[ent].version:
                return f"{channel} shows {ent} v{one.version}, it is at v{folds[ent].version}"
            if one.state != folds[ent].view():
                return f"{channel} shows {ent} v{one.version} as {one.state}, it is {folds[ent].view()}"
    missing = [channel for channel in app.tablet.channels if channel not in app.live._replicas]
    if missing:
        return f"does not follow {missing}"
    seen = {ent for replica in app.live._replicas.values() for ent in replica.entities}
    predicted = [ent for ent in sorted(seen) if app.client.state(ent) != folds[ent].view()]
    return f"shows {predicted[0]} as {app.client.state(predicted[0])}, still predicted" if predicted else ""


def _members(folds: dict[str, Fold], channel: str) -> set[str]:
    if channel.count("/") == 1:
        return {channel} & folds.keys()
    return {ent for ent, fold in folds.items() if channel in fold.groups()}
