"""The play's own record: every edit that was made, what it was to come to, and what was checked on the way."""

from dataclasses import dataclass, field

from cluster.demo.tablets.evidence import APPLIED, Check, Edited, Trace, outcome_of
from cluster.demo.tablets.seats import Seat, within
from cluster.demo.tablets.world import Person
from realtime.client.notices import Edit
from realtime.client.outcome import Result


@dataclass(slots=True)
class _Made:
    seat: Seat
    what: str
    edit: Edit
    wanted: str
    traces: tuple[Trace, ...]


@dataclass(slots=True)
class Book:
    checks: list[Check] = field(default_factory=list)
    _made: list[_Made] = field(default_factory=list)
    _other: list[Edited] = field(default_factory=list)

    def made(self, seat: Seat, what: str, edit: Edit, *traces: Trace, wanted: str = APPLIED) -> Edit:
        """An edit on a tablet, with the events that it is to leave."""
        self._made.append(_Made(seat, what, edit, wanted, traces))
        return edit

    def told(self, person: Person, what: str, trace: Trace) -> None:
        """An edit over HTTP that the server has acknowledged."""
        self._other.append(
            Edited(
                who=person.name,
                what=what,
                by=person.subject,
                device="",
                wanted=APPLIED,
                came=APPLIED,
                traces=(trace,),
            )
        )

    def check(self, what: str, expected: object, seen: object) -> None:
        self.checks.append(Check(what, str(expected), str(seen)))

    def reopened(self, seat: Seat) -> None:
        """The app was started again: its edits without a result are other objects now."""
        now = {edit.seq: edit for edit in seat.tablet.edits()}
        for made in self._made:
            if made.seat is seat and made.edit.outcome is None:
                made.edit = now.get(made.edit.seq, made.edit)

    async def result(self, edit: Edit, what: str) -> Result:
        async with within(f"the result of {what}"):
            return await edit.result()

    def edits(self) -> tuple[Edited, ...]:
        """All of them with what came of them, in the order in which they were made."""
        return (*self._other, *(_settled(made) for made in self._made))


def _settled(made: _Made) -> Edited:
    outcome = made.edit.outcome
    return Edited(
        who=made.seat.person.name,
        what=made.what,
        by=made.seat.person.subject,
        device=made.seat.device,
        wanted=made.wanted,
        came="no result" if outcome is None else outcome_of(outcome),
        traces=made.traces,
    )
