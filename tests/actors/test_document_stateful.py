"""Any sequence of commands on any device: no edit is lost, no register changes unseen, what is signed stays."""

import hashlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from actors.document_alerts import LASTING
from actors.document_commands import (
    Cosign,
    EnterInError,
    RejectCosign,
    Resolve,
    SetField,
    SetPoint,
    SetStatus,
    Sign,
    StrikePoint,
)
from actors.document_content import content_hash, content_of
from actors.document_events import StatusChanged
from actors.document_status import TRANSITIONS, DocumentStatus
from actors.document_values import Injection
from domain.errors import Rejected
from tests.actors.document_model import Change, Container, RegisterModel, Told, expected_alerts
from tests.actors.documents import (
    ADA,
    DRAW,
    FRED,
    PIA,
    QUINN,
    STRANGERS,
    VIAL,
    alerts,
    at,
    hash_of,
    new_document,
    note,
    perform,
    point,
    refused,
    signature,
    uid,
    vial,
    wastage,
)
from tests.actors.test_document_signing import addendum

PROVIDERS = st.sampled_from([PIA, PIA, QUINN])
DEVICES = st.sampled_from(["tablet-1", "tablet-1", "tablet-1", "tablet-2", ""])
NAMES = st.sampled_from(["plan.dose", "plan.notes"])
VALUES = st.one_of(st.sampled_from(["", "five", "ten", "1"]), st.integers(0, 2), st.booleans())
DOSES = st.sampled_from(["1", "2.5", "10", "19.999"])
POINTS = st.sampled_from(["a", "a", "b"])
VIALS = st.sampled_from(["", "vial-1", "vial-1", "vial-2"])
AGO = st.sampled_from([0, 0, 0, 0, 500, 5_000, 80_000_000, 90_000_000])
SELDOM = st.sampled_from([False, False, False, False, False, True])
AFTER_LATE = {DocumentStatus.ADDENDUM_REQUIRED, DocumentStatus.PENDING_COSIGN, DocumentStatus.ENTERED_IN_ERROR}
REFUSED = frozenset({"document_signed", "entered_in_error"})


class DocumentMachine(RuleBasedStateMachine):
    conflicts = Bundle("conflicts")

    @initialize(needs_cosign=st.booleans())
    def make(self, needs_cosign):
        self.desk = new_document(needs_cosign=needs_cosign)
        self.registers: dict[str, RegisterModel] = {}
        self.about: dict[str, str] = {}
        self.frozen = ""
        self.containers: dict[str, Container] = {}
        self.injections: dict[str, tuple[Injection, int]] = {}
        self.wasted: dict[str, object] = {}
        self.facts: dict[str, tuple[str, object]] = {}
        self.opened: set[str] = set()

    @property
    def state(self):
        return self.desk.state

    def attempt(self, command, actor, device="", ago=0):
        """Do it, or return the code it was refused with."""
        before, frozen = self.state.status, self.frozen
        self.desk.now_ms += 1_000
        hlc = at(self.desk.now_ms - ago) if ago else ""
        try:
            decision = self.desk.do(command, actor, device, hlc)
        except Rejected as refusal:
            return refusal.failure.code
        for event in decision.events:
            if isinstance(event, StatusChanged):
                assert (event.from_, event.to) in TRANSITIONS
        assert before is self.state.status or (before, self.state.status) in TRANSITIONS
        assert not frozen or hash_of(self.desk) == frozen
        return decision

    def register(self, name, command, value, actor, device, ago):
        """A change of a register, checked against the model."""
        model = self.registers.setdefault(name, RegisterModel())
        hand = (actor.subject, device)
        at_ms = self.desk.now_ms + 1_000 - ago
        expected = model.expects(value, command.base_version, hand, at_ms)
        writable = self.state.writable
        result = self.attempt(command, actor, device, ago)
        if expected == "same":
            assert result.events == ()
        elif not writable:
            assert result in REFUSED
            model.told.append(Told("refused", value))
            return None
        elif expected == "applied":
            assert result.reply is None
            assert self.state.status is DocumentStatus.DRAFT
            model.changes.append(Change(self.desk.version, value, hand, at_ms))
        else:
            conflict_id = result.reply["conflict_id"]
            model.conflicts[conflict_id] = (model.value, value)
            self.about[conflict_id] = name
            self.opened.add(conflict_id)
            model.told.append(Told("conflict", value))
            return conflict_id
        model.told.append(Told(expected, value))
        return None

    def base(self, name, back):
        changes = self.registers[name].changes if name in self.registers else []
        versions = [0, *(change.version for change in changes)]
        return versions[max(len(versions) - 1 - back, 0)]

    @rule(target=conflicts, name=NAMES, value=VALUES, back=st.integers(0, 3), who=PROVIDERS, device=DEVICES, ago=AGO)
    def set_field(self, name, value, back, who, device, ago):
        command = SetField(name=name, value=value, base_version=self.base(name, back))
        return self.register(name, command, value, who, device, ago)

    @rule(target=conflicts, name=POINTS, dose=DOSES, back=st.integers(0, 2), who=PROVIDERS, device=DEVICES, ago=AGO)
    def set_point(self, name, dose, back, who, device, ago):
        known = self.state.points.get(uid(name))
        register = f"point/{uid(name)}/dose"
        command = SetPoint(point_id=uid(name), dose=dose, unit="U", base_version=self.base(register, back))
        if known is None or known.added.injection is not None or known.performed or known.struck:
            result = self.attempt(command, who, device)
            assert isinstance(result, str) or result.events == ()
            return None
        return self.register(register, command, f"{dose} U", who, device, ago)

    @rule(conflict_id=conflicts, pick=st.integers(0, 2), third=VALUES, who=PROVIDERS, device=DEVICES)
    def resolve(self, conflict_id, pick, third, who, device):
        if conflict_id is None:
            return
        name = self.about[conflict_id]
        model = self.registers[name]
        value = (*model.conflicts[conflict_id], "7 U" if name.startswith("point/") else third)[pick]
        result = self.attempt(Resolve(conflict_id=conflict_id, value=value, reason="r"), who, device)
        if isinstance(result, str):
            assert result in REFUSED
        elif result.reply is not None:
            again = result.reply["conflict_id"]
            model.conflicts[again] = (model.value, value)
            self.about[again] = name
            self.opened.add(again)
        elif result.events:
            self.opened.discard(conflict_id)
            model.changes.append(Change(self.desk.version, value, (who.subject, device), self.desk.now_ms))

    def fact(self, sort, name, command, who, device, ago):
        """A fact, and whether it is one more; it is never refused but for an id that means something else."""
        result = self.attempt(command, who, device, ago)
        if isinstance(result, str):
            assert result == "item_exists"
            return "", 0
        if not result.events:
            return "", 0
        late = (result.reply or {}).get("entry_id", "")
        assert self.state.status in (AFTER_LATE if late else {DocumentStatus.DRAFT})
        assert bool(late) == (self.frozen != "" or self.state.status is DocumentStatus.ENTERED_IN_ERROR)
        self.facts[late or name] = (f"late_{sort}" if late else sort, command)
        return late or name, self.desk.now_ms - ago

    @rule(name=POINTS, dose=DOSES, container=VIALS, who=PROVIDERS, device=DEVICES, ago=AGO)
    def inject(self, name, dose, container, who, device, ago):
        command = point(name, dose=dose, container_id=container)
        key, at_ms = self.fact("points", uid(name), command, who, device, ago)
        if key:
            self.injections[key] = (Injection(**DRAW | {"dose": dose, "container_id": container}), at_ms)

    @rule(name=POINTS, dose=DOSES, who=PROVIDERS)
    def plan(self, name, dose, who):
        writable, known = self.state.writable, uid(name) in self.state.points
        result = self.attempt(point(name, dose=dose, planned=True), who)
        if isinstance(result, str):
            assert known or not writable
        elif result.events:
            model = self.registers.setdefault(f"point/{uid(name)}/dose", RegisterModel())
            model.changes.append(Change(self.desk.version, f"{dose} U", (who.subject, ""), self.desk.now_ms))
            self.facts[uid(name)] = ("points", None)

    @rule(target=conflicts, name=POINTS, dose=DOSES, container=VIALS, who=PROVIDERS, device=DEVICES, ago=AGO)
    def perform(self, name, dose, container, who, device, ago):
        command = perform(name, dose=dose, container_id=container)
        known = self.state.points.get(uid(name))
        if known is None:
            assert self.attempt(command, who, device) == "unknown_point"
            return
        given = Injection(**DRAW | {"dose": dose, "container_id": container})
        was = known.performed
        result = self.attempt(command, who, device, ago)
        reply = result.reply or {}
        if was is not None and was.injection == given:
            assert result.events == ()
        elif "conflict_id" in reply:
            conflict_id = reply["conflict_id"]
            register = f"point/{uid(name)}/injection"
            self.about[conflict_id] = register
            self.opened.add(conflict_id)
            self.registers.setdefault(register, RegisterModel()).conflicts[conflict_id] = (was.injection, given)
        elif result.events:
            key = reply.get("entry_id", uid(name))
            self.injections[key] = (given, self.desk.now_ms - ago)
            if "entry_id" in reply:
                self.facts[key] = ("late_points", command)

    @rule(name=POINTS, who=PROVIDERS)
    def strike(self, name, who):
        result = self.attempt(StrikePoint(point_id=uid(name), reason="typed twice"), who)
        if isinstance(result, str):
            assert result in REFUSED | {"unknown_point"}
        elif result.events:
            self.injections.pop(uid(name), None)

    @rule(name=VIALS.filter(bool), lot=st.sampled_from(["L1", "L2"]), expires=st.sampled_from(["", "2025-12-31"]))
    def open_container(self, name, lot, expires):
        told = {**VIAL, "container_id": name, "lot": lot, "expires_on": expires, "amount": "12"}
        key, _ = self.fact("containers", name, vial(**told), PIA, "", 0)
        if key:
            self.containers[name] = Container(told["product_id"], lot, "12", "U", expires)

    @rule(name=POINTS, amount=DOSES, unit=st.sampled_from(["U", "mL"]), who=PROVIDERS, ago=AGO)
    def waste(self, name, amount, unit, who, ago):
        command = wastage(f"waste {name}", amount=amount, unit=unit)
        key, _ = self.fact("wastage", command.wastage_id, command, who, "", ago)
        if key:
            self.wasted[key] = command

    @rule(name=POINTS, who=PROVIDERS, device=DEVICES, ago=AGO)
    def write_note(self, name, who, device, ago):
        self.fact("notes", uid(f"note {name}"), note(f"note {name}"), who, device, ago)

    @rule(to=st.sampled_from(["draft", "ready"]), who=PROVIDERS)
    def set_status(self, to, who):
        self.attempt(SetStatus(to=to), who)

    @rule(who=PROVIDERS, sure=SELDOM)
    def sign(self, who, sure):
        if not sure:
            return
        was = self.state.status
        self.attempt(SetStatus(to="ready"), who)
        result = self.attempt(Sign(**signature(self.desk)), who)
        if was in {DocumentStatus.DRAFT, DocumentStatus.READY}:
            assert (result == "conflicts_open") == bool(self.opened)
            self.frozen = "" if self.opened else hash_of(self.desk)

    @rule(who=PROVIDERS)
    def cosign(self, who):
        if not isinstance(self.attempt(Cosign(**signature(self.desk)), who), str):
            assert who.subject != self.state.signer

    @rule(who=PROVIDERS)
    def reject(self, who):
        self.attempt(RejectCosign("why"), who)

    @rule(name=POINTS, who=PROVIDERS)
    def add_addendum(self, name, who):
        self.attempt(addendum(name), who)
        assert not (uid(name) in self.state.addenda and not self.frozen)

    @rule(sure=SELDOM, very=SELDOM)
    def enter_in_error(self, sure, very):
        if sure and very:
            self.attempt(EnterInError("another patient's"), ADA)

    @rule(actor=st.sampled_from([FRED, STRANGERS[0], ADA]))
    def intrude(self, actor):
        refused(self.desk, SetField(name="plan.dose", value="x"), actor, Rejected)

    @invariant()
    def replay_and_snapshot_give_the_same_document(self):
        assert self.desk.replayed() == self.state
        assert self.desk.restored() == self.state

    @invariant()
    def registers_hold_what_the_model_says_and_conflicts_hold_the_rest(self):
        for name, model in self.registers.items():
            if not model.changes:
                continue
            held = self.value_at(name)
            assert type(held) is type(model.value)
            assert held == model.value
            kept = [change.value for change in model.changes] + [offered for _, offered in model.conflicts.values()]
            for told in model.told:
                assert told.outcome == "refused" or any(
                    type(one) is type(told.value) and one == told.value for one in kept
                )
        for name in self.registers:
            for conflict_id, (current, offered) in self.registers[name].conflicts.items():
                conflict = self.state.conflicts[conflict_id]
                assert (conflict.register, conflict.current, conflict.offered) == (name, current, offered)
        assert set(self.state.open_conflicts) == self.opened
        assert set(self.state.conflicts) == set(self.about)

    def value_at(self, name):
        if not name.startswith("point/"):
            return self.state.fields[name].value
        _, point_id, inner = name.split("/")
        if inner == "injection":
            return self.state.points[point_id].performed.injection
        return self.state.points[point_id].plan[inner].value

    @invariant()
    def every_fact_is_there_once(self):
        for key, (sort, _) in self.facts.items():
            assert key in (self.state.late if sort.startswith("late_") else getattr(self.state, sort))
        told = sum(sort.startswith("late_") for sort, _ in self.facts.values())
        assert len(self.state.late) == told
        assert len(self.state.points) == sum(sort == "points" for sort, _ in self.facts.values())

    @invariant()
    def alerts_are_what_does_not_add_up(self):
        resolved = {
            register.split("/")[1]
            for register in self.about.values()
            if register.endswith("/injection") and self.registers[register].changes
        }
        for point_id in resolved & set(self.injections):
            performed = self.state.points[point_id].performed
            self.injections[point_id] = (performed.injection, performed.stamp.at_ms)
        shown = {alert for alert in alerts(self.desk) if alert[0] not in LASTING}
        assert shown == expected_alerts(self.containers, self.injections, self.wasted)

    @invariant()
    def text_is_counted(self):
        assert self.state.text_length >= sum(
            len(one.value) for one in self.state.fields.values() if isinstance(one.value, str)
        )
        assert 0 <= self.state.text_length < 20_000


DocumentMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=60, deadline=None)
TestDocument = DocumentMachine.TestCase

COMMUTING = [
    point("a", dose="8"),
    point("b", container_id="vial-2"),
    point("c", planned=True),
    vial(amount="10"),
    vial(container_id="vial-2", expires_on="2025-12-31"),
    wastage("w", amount="3"),
    wastage("v", container_id="vial-3"),
    note("m"),
    note("n", section="plan"),
]


@given(st.permutations(COMMUTING), st.lists(PROVIDERS, min_size=9, max_size=9))
def test_facts_in_any_order_give_the_same_content_and_alerts(order, people):
    one, other = new_document(), new_document()
    told = {id(command): person for command, person in zip(COMMUTING, people, strict=True)}
    for desk, commands in ((one, COMMUTING), (other, order)):
        for command in commands:
            desk.do(command, told[id(command)], "tablet-1", at(desk.now_ms - COMMUTING.index(command)))
    assert content_of(one.state) == content_of(other.state)
    assert content_hash(one.state) == content_hash(other.state)
    assert alerts(one) == alerts(other)


@given(st.dictionaries(st.sampled_from(["a", "b.c", "z"]), st.text(max_size=40) | st.integers(-9, 9) | st.booleans()))
def test_any_content_has_one_canonical_form(fields):
    desk = new_document()
    for name, value in fields.items():
        try:
            desk.do(SetField(name=name, value=value), PIA)
        except Rejected:
            continue
    text = json.dumps(content_of(desk.state), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert json.loads(text) == content_of(desk.restored())
    assert hashlib.sha256(text.encode()).hexdigest() == hash_of(desk)
