"""Any sequence of commands by anyone: terminal statuses stay, stamps are once, replay gives the same order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.order_commands import AssignCourier, Cancel, ReportPosition, SetStatus
from actors.order_status import TERMINAL, TRANSITIONS, Fulfilment, OrderStatus
from actors.runtime.entity import SYSTEM, Actor
from domain.errors import Rejected
from tests.actors.test_order import ADMIN, ANNA, RIDER, SECOND, STAFF, STRANGERS, new_order

ACTORS = st.sampled_from([ANNA, STAFF, STAFF, STAFF, RIDER, RIDER, SECOND, SYSTEM, ADMIN, STRANGERS[0]])
GOING_ON = sorted(TRANSITIONS, key=lambda step: (step[0].value, step[1].value))


class OrderMachine(RuleBasedStateMachine):
    @initialize(fulfilment=st.sampled_from(Fulfilment), payment=st.sampled_from(["pay_on_delivery", "prepaid"]))
    def place(self, fulfilment, payment):
        self.order = new_order(fulfilment=fulfilment, payment_method=payment)
        self.lines = self.order.view()["lines"]

    def attempt(self, command, actor: Actor):
        was = self.order.state.status
        try:
            self.order.do(command, actor)
        except Rejected:
            assert self.order.state.status is was
        self.check_step(was)

    def check_step(self, was):
        now = self.order.state.status
        assert now is was or (was, now) in TRANSITIONS
        if was in TERMINAL:
            assert now is was

    @rule(to=st.sampled_from(OrderStatus), actor=ACTORS, reason=st.sampled_from(["", "why"]))
    def set_any_status(self, to, actor, reason):
        self.attempt(SetStatus(to=to.value, reason=reason), actor)

    @rule(pick=st.integers(0, 5), actor=ACTORS)
    def go_on(self, pick, actor):
        steps = [to for source, to in GOING_ON if source is self.order.state.status]
        if steps:
            self.attempt(SetStatus(to=steps[pick % len(steps)].value, reason="why"), actor)

    @rule(actor=ACTORS, reason=st.sampled_from(["", "why"]))
    def cancel(self, actor, reason):
        self.attempt(Cancel(reason), actor)

    @rule(actor=ACTORS, courier=st.sampled_from(["", "rita", "sam"]))
    def assign(self, actor, courier):
        held = self.order.state.courier_id
        self.attempt(AssignCourier(courier), actor)
        if held and self.order.state.courier_id != held:
            assert actor in {STAFF, SYSTEM}

    @rule(actor=ACTORS, lat=st.floats(-90, 90), lon=st.floats(-180, 180))
    def report(self, actor, lat, lon):
        self.attempt(ReportPosition(lat=lat, lon=lon), actor)

    @rule(ms=st.sampled_from([1000, 60_000, 600_000, 1_800_000]))
    def wait(self, ms):
        self.order.wait(ms)

    @rule(name=st.sampled_from(["accept", "payment"]))
    def fire_again(self, name):
        was = self.order.state.status
        self.order.fire(name)
        self.check_step(was)

    @invariant()
    def replay_and_snapshot_give_the_same_order(self):
        assert self.order.replayed() == self.order.state
        assert self.order.restored() == self.order.state

    @invariant()
    def each_status_is_stamped_once_and_the_last_is_current(self):
        stamped = [stamp.status for stamp in self.order.state.timeline]
        assert len(set(stamped)) == len(stamped)
        assert stamped[-1] is self.order.state.status
        times = [stamp.at_ms for stamp in self.order.state.timeline]
        assert times == sorted(times)

    @invariant()
    def what_was_bought_never_changes(self):
        view = self.order.view()
        assert view["lines"] == self.lines
        assert view["total"]["amount"] == 1350

    @invariant()
    def a_deadline_is_armed_exactly_while_it_runs(self):
        state = self.order.state
        assert ("payment" in self.order.reminders) == (state.status is OrderStatus.PENDING_PAYMENT)
        waiting = state.status is OrderStatus.PLACED and state.placed.fulfilment is not Fulfilment.TICKETS
        assert ("accept" in self.order.reminders) == waiting


OrderMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestOrder = OrderMachine.TestCase
