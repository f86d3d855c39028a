"""Promises 2, 3 and 5: what became of every command, by the journals alone, and what its tablet was told of it."""

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from actors.kinds import CLINICAL_OPERATIONS, DEVICE_OPERATIONS
from actors.session_commands import Outcome
from actors.session_state import Access, Opened, Recorded, Resolved, Restored, Revoked
from domain.ids import derived_command_id
from tests.simulation.tablets.book import Book, Identity, Key, Stored, Told
from tests.simulation.tablets.truth import Fact, Fold

if TYPE_CHECKING:
    from tests.simulation.record import Record
    from tests.simulation.tablets.town import Town

ONE_OUTCOME = "2 one outcome"
STABLE = "3 stable results"
FIFO = "5 in order"

BEFORE_IT_RAN = frozenset({"revoked", "old_epoch", "seq_reuse"})
"""Refusals without asking the target, which may have executed the command before, its result lost in a crash."""
_COMPARED = ("status", "ver", "code", "conflict_id", "quarantined", "by", "reply")
_LIFECYCLE = frozenset({"sign", "cosign"})


class Kept(NamedTuple):
    """An outcome as a session has it, and when it came to be there. `counted`: it moved the watermark."""

    order: int
    entry: Outcome
    counted: bool


class Ran(NamedTuple):
    """A row that a tablet's command made. `retried`: out of the quarantine."""

    fold: Fold
    fact: Fact
    order: int
    retried: bool


def clinical(ent: str, op: str) -> bool:
    """Whether a refused command has to be kept: said once more, apart from the code that is tested."""
    if not ent.startswith("document/"):
        return False
    return op in CLINICAL_OPERATIONS["document"] or op not in DEVICE_OPERATIONS["document"] | _LIFECYCLE


class Outcomes:
    """All that the journals say of tablets' commands."""

    def __init__(self, town: "Town", folds: dict[str, Fold]) -> None:
        self.town = town
        self.record: Record = town.record
        self.book: Book = town.book
        self.folds = folds
        self.kept: dict[Key, list[Kept]] = defaultdict(list)
        self.items: dict[str, Key] = {}
        self.resolved: dict[str, Resolved] = {}
        self.ran: dict[Key, list[Ran]] = defaultdict(list)
        self.source: dict[tuple[str, int], Stored] = {}
        """(`kind/id`, version) → the command behind that row."""
        for identity in dict.fromkeys(tablet.identity for tablet in town.tablets):
            self._read_session(identity)
        self._find_rows()

    def check(self) -> None:
        for key, told in self.book.told.items():
            self._check_told(key, told)
        for key, kept in self.kept.items():
            self._check_kept(key, kept)
        for key, ran in self.ran.items():
            self._check_ran(key, ran)
        for stranger in self.book.strangers:
            self.record.violate(ONE_OUTCOME, stranger)
        self._check_silence()
        self._check_quarantine()
        self._check_order()

    def order_of(self, fold: Fold, fact: Fact) -> int:
        return self.record.commits[fold.id, fact.row.version].order

    # -- what the journals say --------------------------------------------------------------------

    def _read_session(self, identity: Identity) -> None:
        session_id = next(one.session_id for one in self.town.tablets if one.identity == identity)
        fold = self.folds.get(f"session/{session_id}")
        if fold is None:
            return
        reader = _SessionReader(self, identity)
        for fact in fold.facts:
            for event in fact.events:
                reader.read(event, self.order_of(fold, fact))
        for epoch, count in fold.state.counts.items():
            if reader.marks.get(epoch, 0) != count.last_seq:
                what = f"{identity} epoch {epoch} is counted to {count.last_seq}, recorded to {reader.marks.get(epoch)}"
                self.record.violate(ONE_OUTCOME, what)

    def _find_rows(self) -> None:
        by_id: dict[tuple[bytes, bytes], tuple[Key, bool]] = {}
        for key, stored in self.book.stored.items():
            by_id[stored.command_id, key.hash] = (key, False)
        for item_id, key in self.items.items():
            session_id = next(one.session_id for one in self.town.tablets if one.identity == key.identity)
            retry = derived_command_id("retry", session_id, item_id)
            by_id[retry, retry] = (key, True)
        devices = {tablet.device_id for tablet in self.town.tablets}
        for ent, fold in self.folds.items():
            for fact in fold.facts:
                found = by_id.get((fact.row.command_id, fact.row.command_hash))
                if found is not None:
                    key, retried = found
                    self.ran[key].append(Ran(fold, fact, self.order_of(fold, fact), retried))
                    self.source[ent, fact.row.version] = self.book.stored[key]
                elif fact.row.device in devices and fold.kind != "session":
                    self.record.violate(ONE_OUTCOME, f"{ent} v{fact.row.version} is nobody's command")

    # -- checks -----------------------------------------------------------------------------------

    def _check_told(self, key: Key, told: list[Told]) -> None:
        first = told[0].first
        for one in told[1:]:
            for name in _COMPARED:
                if one.first.get(name) != first.get(name):
                    what = f"{self.book.stored[key]}: {name} was {first.get(name)}, later {one.first.get(name)}"
                    self.record.violate(STABLE, what)
        kept = [one for one in self.kept.get(key, ()) if one.order < told[0].order]
        if not kept:
            what = (
                f"{self.book.stored[key]}: told {first['status']} {first.get('code', '')}, which nothing recorded says"
            )
            self.record.violate(ONE_OUTCOME, what)
            return
        result = kept[0].entry.result
        for name in _COMPARED:
            if result.get(name) != first.get(name):
                what = f"{self.book.stored[key]}: told {name} {first.get(name)}, recorded is {result.get(name)}"
                self.record.violate(STABLE, what)

    def _check_kept(self, key: Key, kept: list[Kept]) -> None:
        stored = self.book.stored.get(key)
        if stored is None:
            self.record.violate(ONE_OUTCOME, f"{key} was recorded, and no tablet has ever stored it")
            return
        if len(kept) > 1:
            self.record.violate(ONE_OUTCOME, f"{stored}: {len(kept)} outcomes")
        order, entry, _ = kept[0]
        result = entry.result
        ran = self.ran.get(key, [])
        if result["status"] == "applied" or result.get("conflict_id"):
            if entry.command is not None:
                self.record.violate(ONE_OUTCOME, f"{stored}: {result['status']}, and in quarantine")
            later = ran and (ran[0].order > order or ran[0].fact.row.version != result["ver"])
            if later and not self._outdated(key):
                self.record.violate(ONE_OUTCOME, f"{stored}: {result} was recorded before it was so")
            if not ran:
                self.town.noops.setdefault(stored.body["ent"], {}).setdefault(result["ver"], []).append(stored)
            return
        if entry.command is None and clinical(stored.body["ent"], stored.body["op"]):
            self.record.violate(ONE_OUTCOME, f"{stored}: {result}, and what it says is nowhere")
        retried = entry.item_id in self.resolved and self.resolved[entry.item_id].action == "retry"
        before = entry.command is not None and result.get("code") in BEFORE_IT_RAN
        if ran and not retried and not before and not self._outdated(key):
            where = f"{ran[0].fold.ent} v{ran[0].fact.row.version}"
            self.record.violate(ONE_OUTCOME, f"{stored}: {result}, and it is {where}")

    def _outdated(self, key: Key) -> bool:
        """Two tablets under one name are connected at once, and an entity that has moved to another host does not know
        which of the connections is outdated: what the one was refused, the other may then do. Known, and accepted."""
        return key.identity in self.town.copied

    def _check_ran(self, key: Key, ran: list[Ran]) -> None:
        stored = self.book.stored[key]
        if len(ran) > 1:
            where = [f"{one.fold.ent} v{one.fact.row.version}" for one in ran]
            self.record.violate(ONE_OUTCOME, f"{stored}: executed as {where}")
        for one in ran:
            if one.fold.ent != stored.body["ent"]:
                self.record.violate(ONE_OUTCOME, f"{stored}: executed by {one.fold.ent}")

    def _check_silence(self) -> None:
        """A command without any result is still on a tablet (then its queue is not empty), or went with a storage."""
        for key, stored in self.book.stored.items():
            if key not in self.book.told and key.identity not in self.town.lossy:
                self.record.violate(ONE_OUTCOME, f"{stored}: nobody was ever told what became of it")

    def _check_quarantine(self) -> None:
        for item_id, key in self.items.items():
            session_id = next(one.session_id for one in self.town.tablets if one.identity == key.identity)
            there = item_id in self.folds[f"session/{session_id}"].state.quarantine
            if there == (item_id in self.resolved):
                self.record.violate(ONE_OUTCOME, f"{key}: {'resolved and still' if there else 'not'} in quarantine")

    def _check_order(self) -> None:
        """Commands of one epoch were executed in their order, those apart that people took out of the quarantine.

        Where storages were put back or copied there are several queues under one name: their order is none.
        """
        quarantined = set(self.items.values())
        rows: dict[tuple[Identity, int], list[tuple[int, int, Stored]]] = defaultdict(list)
        for key, ran in self.ran.items():
            if key not in quarantined and key.identity not in self.town.copied:
                rows[key.identity, key.epoch] += [(one.order, key.seq, self.book.stored[key]) for one in ran]
        for executed in rows.values():
            executed.sort(key=lambda one: one[0])
            for (_, seq, stored), (_, following, later) in pairwise(executed):
                if following < seq:
                    self.record.violate(FIFO, f"{later} was executed after {stored}")


class _SessionReader:
    """One session's journal: what was counted, under which epoch and with which rights."""

    def __init__(self, outcomes: Outcomes, identity: Identity) -> None:
        self._outcomes = outcomes
        self._identity = identity
        self._record = outcomes.record
        self.epoch = 0
        self.marks: dict[int, int] = {}
        self._access = Access.GRANTED
        self._opened_revoked = False

    def read(self, event: Any, order: int) -> None:
        match event:
            case Opened():
                if event.epoch not in self.marks:
                    self.marks[event.epoch] = event.adopted
                self.epoch = max(self.epoch, event.epoch)
                self._opened_revoked = self._access is Access.REVOKED_PERSON
            case Revoked():
                self._access = event.access
            case Restored():
                self._access, self._opened_revoked = Access.GRANTED, False
            case Recorded():
                for entry in event.entries:
                    self._entry(entry, order)
            case Resolved():
                self._outcomes.resolved[event.item_id] = event
            case _:
                pass

    def _entry(self, entry: Outcome, order: int) -> None:
        key = Key(self._identity, entry.epoch, entry.seq, entry.hash)
        mark, code = self.marks.get(entry.epoch, 0), entry.result.get("code")
        counted = entry.seq > mark
        if counted:
            if entry.epoch == self.epoch and entry.seq != mark + 1:
                self._record.violate(ONE_OUTCOME, f"{key} was counted after {mark}")
            if entry.epoch < self.epoch and code != "old_epoch":
                self._record.violate(ONE_OUTCOME, f"{key}: {entry.result} under epoch {self.epoch}")
            if self._opened_revoked and code not in BEFORE_IT_RAN:
                self._record.violate(ONE_OUTCOME, f"{key}: {entry.result} of somebody who was revoked")
            self.marks[entry.epoch] = entry.seq
        elif code != "seq_reuse":
            self._record.violate(ONE_OUTCOME, f"{key}: {entry.result} was recorded though {mark} is counted")
        self._outcomes.kept[key].append(Kept(order, entry, counted))
        if entry.command is not None:
            self._item(key, entry)

    def _item(self, key: Key, entry: Outcome) -> None:
        if entry.item_id in self._outcomes.items:
            self._record.violate(ONE_OUTCOME, f"{key} is twice in quarantine")
        self._outcomes.items[entry.item_id] = key
        stored = self._outcomes.book.stored.get(key)
        said = {name: entry.command[name] for name in ("ent", "op", "args")} if entry.command is not None else {}
        if stored is not None and said != {name: _public(stored.body)[name] for name in ("ent", "op", "args")}:
            self._record.violate(ONE_OUTCOME, f"{stored}: in quarantine as {said}")


def _public(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"args": {name: value for name, value in body["args"].items() if name != "proof"}}
