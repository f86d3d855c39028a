import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measure import Recorder, percentile

_VALUES = st.lists(st.floats(0, 1e6), min_size=1).map(sorted)


@given(_VALUES, st.floats(0.001, 1.0))
def test_a_percentile_is_the_smallest_value_that_covers_the_share(ordered, share):
    found = percentile(ordered, share)
    covered = sum(value <= found for value in ordered)
    below = sum(value < found for value in ordered)
    assert found in ordered
    assert covered >= share * len(ordered) - 1e-9
    assert below < share * len(ordered) + 1e-9


def test_the_percentile_of_nothing_is_zero():
    assert percentile([], 0.99) == 0.0


def test_only_the_window_counts_for_throughput_but_every_acknowledgement_is_kept():
    recorder = Recorder(1)
    recorder.success(0, 0.0, 0.5)
    recorder.open(1.0)
    recorder.success(0, 1.0, 1.5)
    recorder.success(0, 1.5, 2.5)
    recorder.close(3.0)
    recorder.success(0, 2.5, 3.5)
    result = recorder.result()
    assert result.requests == 2
    assert result.per_second == 1.0
    assert result.acknowledged == [4]
    assert (result.p50_ms, result.p99_ms) == (500.0, 1000.0)


def test_the_longest_pause_is_that_of_one_worker_although_others_go_on():
    recorder = Recorder(2)
    recorder.open(0.0)
    for tick in range(1, 10):
        recorder.success(0, tick - 1, tick)
    recorder.success(1, 0.0, 1.0)
    recorder.success(1, 1.0, 7.0)
    recorder.close(10.0)
    assert recorder.result().longest_pause_ms == pytest.approx(6000)


def test_a_worker_that_never_came_back_shows_as_a_pause_until_the_end():
    recorder = Recorder(1)
    recorder.open(0.0)
    recorder.success(0, 0.0, 1.0)
    recorder.close(9.0)
    assert recorder.result().longest_pause_ms == pytest.approx(8000)


def test_outcomes_errors_and_retries_outside_the_window_are_not_counted():
    recorder = Recorder(1)
    recorder.outcome("503")
    recorder.error()
    recorder.retry()
    recorder.open(0.0)
    recorder.outcome("503")
    recorder.retry()
    recorder.close(1.0)
    recorder.outcome("503")
    result = recorder.result()
    assert (result.outcomes, result.errors, result.retried) == ({"503": 1}, 0, 1)
