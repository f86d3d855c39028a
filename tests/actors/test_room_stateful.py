"""Any sequence of commands by anyone: one patient's session at a time, tokens only rise, replay gives the same room."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.room_commands import Claim, Release, SetStatus, TakeOver, Undo
from actors.room_status import CLAIMABLE, OCCUPIED, TRANSITIONS, RoomStatus, WaitingFor
from actors.runtime.entity import SYSTEM
from domain.errors import Rejected
from tests.actors.rooms import ADA, FRED, PIA, QUINN, STRANGERS, going, new_room

ACTORS = st.sampled_from([PIA, PIA, QUINN, QUINN, FRED, ADA, SYSTEM, STRANGERS[0]])
NUMBERS = st.integers(1, 3)
DEVICES = st.sampled_from(["", "tablet-1", "tablet-2"])
GOING_ON = sorted(TRANSITIONS, key=lambda step: (step[0].value, step[1].value))


class RoomMachine(RuleBasedStateMachine):
    @initialize()
    def make(self):
        self.room = new_room()
        self.token = 0

    @property
    def phase(self):
        return self.room.state.phase

    def attempt(self, command, actor, device=""):
        was, holder = self.phase, self.room.state.holder
        previous = self.room.state.previous
        try:
            self.room.do(command, actor, device)
        except Rejected:
            assert self.phase is was
            assert self.room.state.holder is holder
        if isinstance(command, Undo):
            assert self.phase.status in {was.status, previous.status if previous else None}
        else:
            self.check_step(was)
        assert actor is not STRANGERS[0] or self.phase is was
        token = getattr(command, "token", 0)
        if token and self.phase is not was:
            assert (holder.by, holder.token) == (actor.subject, token)

    def check_step(self, was):
        now = self.phase
        if now.status is not was.status:
            assert (was.status, now.status) in TRANSITIONS
        if was.occupied and now.occupied:
            assert (was.patient_id, was.visit_id) == (now.patient_id, now.visit_id)

    @rule(to=st.sampled_from(RoomStatus), actor=ACTORS, number=NUMBERS, token=st.integers(0, 4), device=DEVICES)
    def set_any_status(self, to, actor, number, token, device):
        visit = {"patient_id": f"patient-{number}", "visit_id": f"visit-{number}"} if to == "roomed" else {}
        self.attempt(going(to.value, token=token, **visit), actor, device)

    @rule(pick=st.integers(0, 5), actor=ACTORS, number=NUMBERS, waits=st.sampled_from(WaitingFor))
    def go_on(self, pick, actor, number, waits):
        steps = [to for source, to in GOING_ON if source is self.phase.status]
        if not steps:
            assert self.phase.status is RoomStatus.CLOSED
            return
        to = steps[pick % len(steps)].value
        fields = {}
        if to == "roomed":
            fields = {"patient_id": f"patient-{number}", "visit_id": f"visit-{number}"}
        if to == "held" and number > 1:
            fields = {"visit_id": f"visit-{number}"}
        if to == "waiting":
            fields = {"waiting_for": waits.value}
        holder = self.room.state.holder
        if holder is not None and holder.by == actor.subject:
            fields["token"] = holder.token
        self.attempt(going(to, **fields), actor)

    @rule(to=st.sampled_from(RoomStatus), source=st.sampled_from(RoomStatus), actor=ACTORS)
    def set_with_from(self, to, source, actor):
        self.attempt(SetStatus(to=to.value, from_=source.value), actor)

    @rule(actor=ACTORS, back=st.integers(0, 2), token=st.integers(0, 4))
    def undo(self, actor, back, token):
        self.attempt(Undo(self.room.state.phase_version - back, token), actor)

    @rule(actor=ACTORS, device=DEVICES)
    def claim(self, actor, device):
        self.attempt(Claim(), actor, device)

    @rule(actor=ACTORS, token=st.integers(0, 6))
    def release(self, actor, token):
        self.attempt(Release(token), actor)

    @rule(actor=ACTORS, device=DEVICES)
    def take_over(self, actor, device):
        self.attempt(TakeOver("because"), actor, device)

    @rule(ms=st.sampled_from([1_000, 300_000, 900_000, 3_600_000, 7_200_000]))
    def wait(self, ms):
        self.room.wait(ms)

    @rule(name=st.sampled_from(["hold", "long_wait", "claim"]))
    def fire_again(self, name):
        was = self.phase
        self.room.fire(name)
        self.check_step(was)

    @invariant()
    def replay_and_snapshot_give_the_same_room(self):
        assert self.room.replayed() == self.room.state
        assert self.room.restored() == self.room.state

    @invariant()
    def a_patient_is_there_exactly_while_the_session_lasts(self):
        phase = self.phase
        assert bool(phase.patient_id) == bool(phase.visit_id) == (phase.status in OCCUPIED)
        assert self.room.view()["occupied"] == (phase.status in OCCUPIED)

    @invariant()
    def tokens_only_rise(self):
        state = self.room.state
        assert state.last_token >= self.token
        self.token = state.last_token
        if state.holder is not None:
            assert state.holder.token == state.last_token
            assert state.phase.status in CLAIMABLE

    @invariant()
    def a_timer_runs_exactly_while_it_has_something_to_do(self):
        state, reminders = self.room.state, self.room.reminders
        assert ("hold" in reminders) == (state.phase.status is RoomStatus.HELD)
        assert ("claim" in reminders) == (state.holder is not None)
        assert ("long_wait" in reminders) == (bool(state.phase.long_wait_ms) and state.alert is None)

    @invariant()
    def an_alert_is_about_the_present_status(self):
        alert = self.room.state.alert
        assert alert is None or (alert.status, alert.since_ms) == (self.phase.status, self.phase.since_ms)


RoomMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRoom = RoomMachine.TestCase
