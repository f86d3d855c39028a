"""One tablet's queue against the real session and a real chart, in any order of troubles: no edit is lost or twice."""

import asyncio
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from actors.document_commands import SetField
from actors.document_events import ConflictRaised, NoteAppended, RegisterSet
from domain.errors import Unavailable
from domain.hlc import stamp
from domain.ids import device_command_id
from realtime.channels import live
from realtime.commands import body_hash
from realtime.frames import Command
from realtime.ports import Credentials, Identity
from tests.actors.documents import PIA, QUINN, new_document, uid
from tests.realtime.desk_port import DeskPort
from tests.realtime.fakes import DEVICE, House, Wire, settle
from tests.realtime.ledgers import DeskLedger

ENT = f"document/{uid('chart')}"
FIELDS = st.sampled_from(("notes.plan", "dose.total"))
VALUES = st.sampled_from(("5 mg", "10 mg", "2 mg"))
SCOPE = live(frozenset({"document"}))

Body = dict[str, Any]
Key = tuple[int, int, bytes]
"""Epoch, seq, the body's hash."""


class Everybody:
    async def authenticate(self, credentials: Credentials) -> Identity:
        return Identity(PIA)


class Ward(House):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = DeskLedger(self.entities)
        self.chart = new_document()
        self.charting = DeskPort(self.chart)
        self.use(ledger=self.ledger, authenticator=Everybody(), port=self.charting, sleep=self._sleep)


class Sync(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.ward = Ward()
        self.run(self.ward.__aenter__())
        self.wire: Wire | None = None
        self.epoch, self.seq, self.notes = 1, 0, 0
        self.queue: dict[int, Body] = {}
        self.seen: dict[str, int] = {}
        self.stored: dict[Key, Body] = {}
        self.told: dict[Key, Body] = {}
        self.gone: set[Key] = set()
        self.copied = False

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    # -- the person at the tablet, and a colleague elsewhere --------------------------------------

    @rule(name=FIELDS, value=VALUES)
    def sets_a_field(self, name: str, value: str) -> None:
        """By what was seen, or by what the oldest edit under way had seen."""
        waiting = [body for body in self.queue.values() if body["args"].get("name") == name]
        base = waiting[0]["base_fver"] if waiting else self.seen.get(name, 0)
        self._store({"op": "set_field", "args": {"name": name, "value": value}, "base_fver": base})

    @rule()
    def appends_a_note(self) -> None:
        self.notes += 1
        self._store({"op": "append_note", "args": {"note_id": uid(f"note {self.notes}"), "text": f"{self.notes}"}})

    @rule(to=st.sampled_from(("ready", "draft")))
    def sets_the_status(self, to: str) -> None:
        """From wherever it is: what is nothing to do now may be something to do later."""
        self._store({"op": "set_status", "args": {"to": to}})

    @rule(name=FIELDS, value=VALUES)
    def a_colleague_sets_a_field(self, name: str, value: str) -> None:
        chart = self.ward.chart
        chart.now_ms += 1_000
        assert chart.state is not None
        register = chart.state.fields.get(name)
        base = 0 if register is None else register.fver
        chart.do(SetField(name=name, value=value, base_version=base), QUINN, "quinn-1", stamp(chart.now_ms))

    @precondition(lambda self: self.wire is not None)
    @rule()
    def looks(self) -> None:
        assert self.ward.chart.state is not None
        self.seen = {name: register.fver for name, register in self.ward.chart.state.fields.items()}

    # -- the way to the server --------------------------------------------------------------------

    @rule(silently=st.booleans())
    def connects(self, silently: bool) -> None:
        """`silently`: the connection before stays open, as far as the gateway knows."""
        if self.wire is not None and not silently:
            self.wire.hang_up()
        self.run(self._connect())

    @precondition(lambda self: self.wire is not None and self.queue)
    @rule()
    def sends(self) -> None:
        assert self.wire is not None
        self.wire.feed(*(self._frame(self.epoch, seq, body) for seq, body in list(self.queue.items())[:64]))
        self.run(settle(80))

    @precondition(lambda self: self.wire is not None and self.stored)
    @rule(data=st.data())
    def says_something_again(self, data: st.DataObject) -> None:
        assert self.wire is not None
        epoch, seq, hashed = data.draw(st.sampled_from(sorted(self.stored)))
        self.wire.feed(self._frame(epoch, seq, self.stored[epoch, seq, hashed]))
        self.run(settle(40))

    @precondition(lambda self: self.wire is not None)
    @rule()
    def gets_its_results(self) -> None:
        self._take()

    @precondition(lambda self: self.wire is not None)
    @rule()
    def loses_its_connection_and_what_was_on_it(self) -> None:
        assert self.wire is not None
        self.wire.hang_up()
        self.wire = None
        self.run(settle())

    # -- what breaks ------------------------------------------------------------------------------

    @rule(executed=st.booleans())
    def the_chart_cannot_answer_once(self, executed: bool) -> None:
        port = self.ward.charting
        port.away, port.lost = (0, 1) if executed else (1, 0)

    @rule(kept=st.booleans())
    def the_session_cannot_answer_once(self, kept: bool) -> None:
        self.ward.ledger.lost_answers = int(kept)
        self.ward.ledger.failing = None if kept else Unavailable("away")

    @rule()
    def the_session_answers_again(self) -> None:
        self.ward.ledger.failing = None

    @rule()
    def the_storage_is_reset(self) -> None:
        self.gone |= {(self.epoch, seq, _hash(body)) for seq, body in self.queue.items()}
        self.epoch, self.seq, self.queue = self.epoch + 1, 0, {}
        self.run(self._connect())

    @precondition(lambda self: self.seq > 0)
    @rule()
    def an_older_copy_of_the_storage_comes_back(self) -> None:
        """It has forgotten its last command, and gives the number again."""
        body = self.queue.pop(self.seq, None)
        if body is not None:
            self.gone.add((self.epoch, self.seq, _hash(body)))
        self.seq -= 1
        self.copied = True
        self.wire = None

    # -- the end ----------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.ward.charting.away = self.ward.charting.lost = self.ward.ledger.lost_answers = 0
            self.ward.ledger.failing = None
            self._empty()
            self._check_told()
            self._check_chart()
        finally:
            self.run(self.ward.__aexit__())
            self.run(settle())
            self.loop.close()

    def _empty(self) -> None:
        for _ in range(6):
            if not self.queue:
                return
            self.run(self._connect())
            self.sends()
            self._take()
        raise AssertionError(f"the queue does not become empty: {self.queue}")

    def _check_told(self) -> None:
        """What was told is recorded; what was applied is there once; what was refused is kept for people."""
        desk = self.ward.ledger.desk(DEVICE, PIA.subject)
        kept = {(one.epoch, one.seq, one.hash): one for event in desk.events() for one in getattr(event, "entries", ())}
        for key in self.stored.keys() - self.gone - self.told.keys():
            assert self.copied, f"{key} {self.stored[key]} has no outcome"
        for key, first in self.told.items():
            assert kept[key].result["status"] == first["status"]
            row = self.ward.charting.rows.get(device_command_id(PIA.subject, DEVICE, key[0], key[1]))
            if first["status"] == "rejected":
                assert first["quarantined"] in desk.view()["quarantine"]
            elif row is not None and not self.copied:
                assert row == first["ver"]
        made = list(self.ward.charting.rows.values())
        assert len(made) == len(set(made))

    def _check_chart(self) -> None:
        """No register was set by somebody who did not know what it held; no note is twice; commands are in order."""
        chart, writes, notes = self.ward.chart, dict[str, list[tuple[int, str]]](), list[str]()
        said = {device_command_id(PIA.subject, DEVICE, epoch, seq): (epoch, seq) for epoch, seq, _ in self.stored}
        made_by = {version: said[command_id] for command_id, version in self.ward.charting.rows.items()}
        order = [made_by[version] for version in sorted(made_by)]
        assert self.copied or order == sorted(order)
        for payload, meta in chart.journal:
            for event in chart._events.decode(payload):
                if isinstance(event, NoteAppended):
                    notes.append(event.note_id)
                if isinstance(event, RegisterSet):
                    self._check_known(event, meta.version, meta.device, writes, made_by)
                    writes.setdefault(event.register, []).append((meta.version, meta.device))
                if isinstance(event, ConflictRaised):
                    assert event.conflict_id in chart.view()["conflicts"]
        assert len(notes) == len(set(notes))

    def _check_known(
        self,
        event: RegisterSet,
        version: int,
        device: str,
        writes: dict[str, list[tuple[int, str]]],
        made_by: dict[int, tuple[int, int]],
    ) -> None:
        if version not in made_by:
            return
        bodies = [
            body
            for (epoch, seq, _), body in self.stored.items()
            if (epoch, seq) == made_by[version] and body["args"].get("value") == event.value
        ]
        newer = [by for at, by in writes.get(event.register, ()) if at > max(body["base_fver"] for body in bodies)]
        assert all(by == device for by in newer), f"{event} overwrote what its sender had not seen"

    # -- helpers ----------------------------------------------------------------------------------

    def _store(self, body: Body) -> None:
        self.ward.chart.now_ms += 1_000
        self.seq += 1
        body = {"ent": ENT, **body, "hlc": stamp(self.ward.chart.now_ms)}
        self.queue[self.seq] = body
        self.stored.setdefault((self.epoch, self.seq, _hash(body)), body)

    async def _connect(self) -> None:
        first = next(iter(self.queue), self.seq + 1)
        wire = self.ward.open(scope=SCOPE)
        hello = {"t": "hello", "v": [1, 1], "device_id": DEVICE, "token": "pia"}
        wire.feed({**hello, "epoch": self.epoch, "first_unacked": first})
        await settle(60)
        self.wire = wire if wire.closed is None else None
        assert self.wire is not None, wire.closed
        welcome = wire.sent[0]
        assert welcome["t"] == "welcome"
        self.seq = max(self.seq, welcome["last_seq"])

    def _frame(self, epoch: int, seq: int, body: Body) -> Body:
        return {"t": "command", "epoch": epoch, "seq": seq, **body}

    def _take(self) -> None:
        """Results are final: each key's first one stands, whatever comes after it."""
        assert self.wire is not None
        for frame in self.wire.take("result"):
            mine = [key for key in self.stored if key[:2] == (frame["epoch"], frame["seq"])]
            first = frame.get("original", frame)
            shown = {name: first.get(name) for name in ("status", "ver", "code", "quarantined", "conflict_id")}
            if len(mine) == 1:  # two bodies under one number: it may be about either
                assert self.told.setdefault(mine[0], shown) == shown
            if frame["epoch"] == self.epoch:
                self.queue.pop(frame["seq"], None)
        acked = next(iter(self.queue), self.seq + 1) - 1
        self.wire.feed({"t": "ack", "results_upto": acked})
        self.run(settle())
        if self.wire.closed is not None:
            self.wire = None


def _hash(body: Body) -> bytes:
    return body_hash(msgspec.convert({"epoch": 0, "seq": 1, **body}, Command))


Sync.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSync = Sync.TestCase
