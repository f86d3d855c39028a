"""Promises 4 and 6: a second, small bookkeeping of documents, fed by the journal in its order.

Nothing of the document's own code decides here: who knew which value of a register when they set it is counted anew
from the commands as tablets stored them.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from actors.document_content import content_hash
from actors.document_events import (
    AddendumAdded,
    ConflictRaised,
    ConflictResolved,
    ContainerOpened,
    LateEntered,
    NoteAppended,
    PointAdded,
    PointPerformed,
    PointStruck,
    RegisterSet,
    Signed,
    StatusChanged,
    WastageRecorded,
)
from actors.document_values import Injection
from tests.simulation.tablets.truth import Fact

if TYPE_CHECKING:
    from tests.simulation.record import Record
    from tests.simulation.tablets.book import Stored

NOTHING_STALE = "4 nothing stale"
SIGNED_STAYS = "6 signed stays"

Hand = tuple[str, str]
"""Who, on which device."""
_IDS = {
    PointAdded: "point_id",
    PointPerformed: "point_id",
    PointStruck: "point_id",
    ContainerOpened: "container_id",
    WastageRecorded: "wastage_id",
    NoteAppended: "note_id",
    AddendumAdded: "addendum_id",
}

_LINKED = {"product_id": "dose", "dose": "product_id"}


class _Register:
    def __init__(self, value: Any, version: int, hand: Hand) -> None:
        self.value = value
        self.version = version
        self.writes: list[tuple[int, Hand]] = [(version, hand)]

    def put(self, value: Any, version: int, hand: Hand) -> None:
        self.value, self.version = value, version
        self.writes.append((version, hand))

    def known_to(self, hand: Hand, base: int) -> bool:
        """Whether nobody else has written since `base`."""
        return all(writer == hand for version, writer in self.writes if version > base)


class Chart:
    """One document, row after row."""

    def __init__(self, record: "Record", ent: str) -> None:
        self._record = record
        self.ent = ent
        self.registers: dict[str, _Register] = {}
        self.injected: dict[str, Injection] = {}
        self.open: dict[str, ConflictRaised] = {}
        self.signer = ""
        self.frozen = ""
        self._version = 0

    def row(self, fact: Fact, stored: "Stored | None", state: Any) -> None:
        """`state` is what the document's own code makes of it: asked for its content hash only."""
        self._version = fact.row.version
        hand = (fact.row.actor, fact.row.device)
        for event in fact.events:
            self._event(event, hand, stored)
        if stored is not None and not _carries(fact.events, stored.body):
            self._violate(NOTHING_STALE, f"{stored} is there as {fact.events}")
        if self.frozen and content_hash(state) != self.frozen:
            self._violate(SIGNED_STAYS, f"the content is {content_hash(state)}, signed was {self.frozen}")

    def end(self, state: Any) -> None:
        """The document's own code came to the same."""
        for name, register in self.registers.items():
            if name.startswith("point/"):
                _, point_id, name_in_point = name.split("/")
                held = state.points[point_id].plan[name_in_point]
            else:
                held = state.fields[name]
            if (held.value, held.fver) != (register.value, register.version):
                self._violate(NOTHING_STALE, f"{name} is {held}, it was set to {register.value}")
        if set(state.open_conflicts) != set(self.open):
            self._violate(NOTHING_STALE, f"conflicts {state.open_conflicts} are open, {sorted(self.open)} were raised")

    def _event(self, event: Any, hand: Hand, stored: "Stored | None") -> None:
        match event:
            case RegisterSet():
                self._set(event, hand, stored)
            case ConflictRaised():
                self._raised(event, stored)
            case ConflictResolved():
                self._resolved(event, hand, stored)
            case PointAdded():
                for name, value in event.plan.items():
                    self.registers[f"point/{event.point_id}/{name}"] = _Register(value, self._version, hand)
                if event.injection is not None:
                    self.injected[event.point_id] = event.injection
            case PointPerformed():
                if event.point_id in self.injected:
                    self._violate(NOTHING_STALE, f"the injection at {event.point_id} was replaced")
                self.injected[event.point_id] = event.injection
            case Signed():
                self._signed(event, hand)
            case StatusChanged() if event.from_.value in {"signed", "cosigned", "amended", "entered_in_error"}:
                if event.to.value in {"draft", "ready"}:
                    self._violate(SIGNED_STAYS, f"{event.from_} became {event.to}")
            case _:
                pass

    def _set(self, event: RegisterSet, hand: Hand, stored: "Stored | None") -> None:
        if stored is None or stored.body["op"] not in {"set_field", "set_point"}:
            self._violate(NOTHING_STALE, f"{event} by {stored}")
            return
        register = self.registers.get(event.register)
        if register is None:
            self.registers[event.register] = _Register(event.value, self._version, hand)
            return
        base = stored.body.get("base_fver") or 0
        if not register.known_to(hand, base):
            what = (
                f"{event.register} = {register.value!r} of v{register.version} was overwritten by {stored} from v{base}"
            )
            self._violate(NOTHING_STALE, what)
        self._put(event.register, event.value, hand)

    def _put(self, name: str, value: Any, hand: Hand) -> None:
        """A dose is one of its product: whoever changes the one has changed what the other means."""
        self.registers[name].put(value, self._version, hand)
        where, _, name_in_point = name.rpartition("/")
        linked = self.registers.get(f"{where}/{_LINKED.get(name_in_point, '')}")
        if where and linked is not None:
            linked.put(linked.value, self._version, hand)

    def _raised(self, event: ConflictRaised, stored: "Stored | None") -> None:
        self.open[event.conflict_id] = event
        if event.register.endswith("/injection"):
            current: Any = self.injected.get(event.register.split("/")[1])
        else:
            register = self.registers.get(event.register)
            current = None if register is None else register.value
            base = (stored.body.get("base_fver") or 0) if stored is not None else 0
            if register is not None and base == register.version:
                self._violate(NOTHING_STALE, f"{stored} knew v{base} of {event.register}, and was taken for stale")
        if event.current != current:
            self._violate(NOTHING_STALE, f"{event} keeps {event.current!r}, {event.register} was {current!r}")

    def _resolved(self, event: ConflictResolved, hand: Hand, stored: "Stored | None") -> None:
        conflict = self.open.pop(event.conflict_id, None)
        if conflict is None:
            self._violate(NOTHING_STALE, f"{event} closes no open conflict")
            return
        if isinstance(event.value, Injection):
            current: Any = self.injected[conflict.register.split("/")[1]]
            self.injected[conflict.register.split("/")[1]] = event.value
        else:
            register = self.registers.get(conflict.register)
            if register is None:
                self._violate(NOTHING_STALE, f"{event} is about nothing")
                return
            current = register.value
            base = (stored.body.get("base_fver") or 0) if stored is not None else 0
            if base and current != event.value and not register.known_to(hand, base):
                self._violate(NOTHING_STALE, f"{stored} from v{base} overwrote {current!r} of v{register.version}")
            self._put(conflict.register, event.value, hand)
        if current not in (conflict.current, conflict.offered, event.value) and event.replaced != current:
            self._violate(NOTHING_STALE, f"{event} replaced {current!r}, which stands nowhere")

    def _signed(self, event: Signed, hand: Hand) -> None:
        if self.open:
            self._violate(SIGNED_STAYS, f"signed with {sorted(self.open)} open")
        if event.cosigner and hand[0] == self.signer:
            self._violate(SIGNED_STAYS, f"{hand[0]} signed twice")
        if self.frozen and event.content_hash != self.frozen:
            self._violate(SIGNED_STAYS, f"signed {event.content_hash} after {self.frozen}")
        self.frozen = event.content_hash
        if not event.cosigner:
            self.signer = hand[0]

    def _violate(self, promise: str, what: str) -> None:
        self._record.violate(promise, f"{self.ent} v{self._version}: {what}")


def _carries(events: tuple[Any, ...], body: dict[str, Any]) -> bool:
    """Whether what a command says is in the events it made."""
    op, args = body["op"], body["args"]
    told = [event.fact if isinstance(event, LateEntered) else event for event in events]
    if op in {"set_field", "set_point", "resolve"}:
        value = _value(op, args)
        return any(
            (isinstance(event, RegisterSet | ConflictResolved) and event.value == value)
            or (isinstance(event, ConflictRaised) and event.offered == value)
            for event in told
        )
    if op == "perform_point":
        injection = msgspec.convert({name: value for name, value in args.items() if name != "point_id"}, Injection)
        return any(
            (isinstance(event, PointPerformed) and event.injection == injection)
            or (isinstance(event, ConflictRaised) and event.offered == injection)
            for event in told
        )
    for event in told:
        name = _IDS.get(type(event))
        if name is not None and args.get(name) == getattr(event, name):
            return True
    return not any(name in args for name in _IDS.values())


def _value(op: str, args: dict[str, Any]) -> Any:
    if op == "set_point":
        return f"{args['dose']} {args['unit']}" if "dose" in args else args.get("technique", args.get("product_id"))
    return msgspec.convert(args["value"], Injection) if isinstance(args["value"], dict) else args["value"]
