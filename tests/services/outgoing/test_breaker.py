"""Circuit breakers: when a host is left alone, and how it is asked again."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.outgoing.breaker import Breaker, Breakers, State
from services.outgoing.errors import CircuitOpenError, RefusedError
from services.outgoing.limits import OutgoingLimits

LIMITS = OutgoingLimits(
    failures_to_open=3, open_seconds=10.0, open_seconds_max=40.0, successes_to_close=2, circuits_max=3
)


class Hands:
    """A clock that is turned by hand."""

    def __init__(self):
        self.at = 1_000.0

    def __call__(self):
        return self.at


def broken(hands, limits=LIMITS):
    breaker = Breaker("host", limits, hands)
    for _ in range(limits.failures_to_open):
        breaker.failed(breaker.admit())
    return breaker


def test_failures_in_a_row_open_it_and_time_lets_one_trial_through():
    hands = Hands()
    breaker = broken(hands)
    with pytest.raises(CircuitOpenError) as suspended:
        breaker.admit()
    assert suspended.value.retry_after_ms == 10_000
    hands.at += 10
    ticket = breaker.admit()
    assert breaker.state is State.HALF_OPEN
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    breaker.succeeded(ticket)
    breaker.succeeded(breaker.admit())
    assert breaker.state is State.CLOSED


def test_a_success_in_between_begins_the_count_anew():
    breaker = Breaker("host", LIMITS, Hands())
    for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        outcome(breaker.admit())
    assert breaker.state is State.CLOSED


def test_each_failed_trial_doubles_the_pause_up_to_the_longest_and_closing_forgets_it():
    hands = Hands()
    breaker = broken(hands)
    for pause in (10, 20, 40, 40):
        hands.at += pause - 0.001
        assert breaker.state is State.OPEN
        hands.at += 0.001
        breaker.failed(breaker.admit())
    hands.at += 40
    for _ in range(2):
        breaker.succeeded(breaker.admit())
    for _ in range(3):
        breaker.failed(breaker.admit())
    hands.at += 10
    assert breaker.state is State.HALF_OPEN


def test_what_began_before_a_change_of_state_counts_no_more():
    hands = Hands()
    breaker = Breaker("host", LIMITS, hands)
    old = breaker.admit()
    for _ in range(3):
        breaker.failed(breaker.admit())
    hands.at += 10
    breaker.admit()
    breaker.failed(old)
    breaker.succeeded(old)
    breaker.abandoned(old)
    assert breaker.state is State.HALF_OPEN
    with pytest.raises(CircuitOpenError):
        breaker.admit()


def test_a_trial_that_is_abandoned_makes_room_for_the_next():
    hands = Hands()
    breaker = broken(hands)
    hands.at += 10
    breaker.abandoned(breaker.admit())
    breaker.admit()


async def test_a_guard_counts_failures_marks_and_nothing_of_what_was_cancelled_or_refused_by_us():
    breakers = Breakers(LIMITS, Hands())

    async def call(error=None, *, failed=False):
        async with breakers.guard("host") as guarded:
            guarded.failed = failed
            if error is not None:
                raise error

    for error in (RefusedError("ours"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await call(error)
    assert breakers.of("host").is_spotless
    await call()
    with pytest.raises(ValueError, match="theirs"):
        await call(ValueError("theirs"))
    await call(failed=True)
    await breakers.check()
    await call(failed=True)
    with pytest.raises(CircuitOpenError):
        await call()
    with pytest.raises(CircuitOpenError):
        await breakers.check()
    assert breakers.of("host").calls == {"abandoned": 2, "done": 1, "failed": 3, "suspended": 1}


async def test_only_so_many_hosts_are_remembered_and_those_in_trouble_the_longest():
    breakers = Breakers(LIMITS, Hands())
    bad = breakers.of("bad")
    bad.failed(bad.admit())
    for name in ("a", "b", "c", "d"):
        breakers.of(name)
    assert [each.host for each in breakers.all()] == ["bad", "c", "d"]


class BreakerMachine(RuleBasedStateMachine):
    """Any calls, in any order and overlapping, against the rules said in words."""

    def __init__(self):
        super().__init__()
        self.hands = Hands()
        self.breaker = Breaker("host", LIMITS, self.hands)
        self.under_way: list[tuple[int, State, int]] = []
        self.changes = 0
        self.state = State.CLOSED
        self.in_a_row = 0
        self.trials = 0

    def _changed(self, state):
        self.state, self.changes, self.in_a_row = state, self.changes + 1, 0

    @rule(seconds=st.sampled_from([0.5, 5.0, 10.0, 40.0]))
    def time_passes(self, seconds):
        self.hands.at += seconds

    @rule()
    def a_call_begins(self):
        seen = self.breaker.state
        try:
            ticket = self.breaker.admit()
        except CircuitOpenError:
            assert seen is not State.CLOSED
            assert seen is State.OPEN or self._trials_under_way() == 1
            return
        assert seen is not State.OPEN
        if self.state is State.OPEN:
            self._changed(State.HALF_OPEN)
        self.under_way.append((ticket, self.state, self.changes))
        assert self._trials_under_way() <= 1

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def a_call_ends(self, data, outcome):
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        ticket, state, change = self.under_way.pop(index)
        getattr(self.breaker, outcome)(ticket)
        if change != self.changes or outcome == "abandoned":
            return
        if state is State.HALF_OPEN:
            if outcome == "failed":
                self._changed(State.OPEN)
                return
            self.in_a_row += 1
            if self.in_a_row == LIMITS.successes_to_close:
                self._changed(State.CLOSED)
        else:
            self.in_a_row = self.in_a_row + 1 if outcome == "failed" else 0
            if self.in_a_row == LIMITS.failures_to_open:
                self._changed(State.OPEN)

    @invariant()
    def it_says_the_state_it_is_in(self):
        said = self.breaker.state
        assert said is self.state or (self.state is State.OPEN and said is State.HALF_OPEN)

    def _trials_under_way(self):
        return sum(state is State.HALF_OPEN and change == self.changes for _, state, change in self.under_way)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
