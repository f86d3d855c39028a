from hypothesis import given
from hypothesis import strategies as st

from realtime.bucket import TokenBucket
from realtime.outbox import ASKED, EXEMPT, Outbox

KEY = ("order/1", "order/1", "")
POSITION = ("order/1", "order/1", "position")


def drained(outbox: Outbox, now: float = 0.0) -> list[bytes]:
    frames = []
    while (frame := outbox.pop(now)) is not None:
        frames.append(frame)
    return frames


def test_frames_leave_in_the_order_they_came() -> None:
    outbox = Outbox(100, 5)
    for frame in (b"a", b"b", b"c"):
        assert outbox.push(frame, 0)
    assert drained(outbox) == [b"a", b"b", b"c"]
    assert not outbox


def test_too_many_bytes_without_a_tracking_channel_is_a_slow_consumer() -> None:
    outbox = Outbox(10, 5)
    assert outbox.push(b"12345", 0)
    assert outbox.push(b"12345", 0)
    assert not outbox.push(b"1", 0)


def test_a_tracking_channel_coalesces_to_the_newest_state_and_signals() -> None:
    outbox = Outbox(10, 5, lambda ch, ent: f"{ch} {ent}".encode())
    outbox.push(b"result", 0)
    outbox.push(b"1", 0, KEY)
    outbox.push(b"p1", 0, POSITION)
    outbox.push(b"p2", 0, POSITION)
    assert outbox.push(b"33", 0, KEY)
    outbox.push(b"p3", 0, POSITION)
    outbox.push(b"4", 0, KEY)
    assert drained(outbox) == [b"result", b"order/1 order/1", b"p3"]
    outbox.push(b"5", 0, KEY)
    assert drained(outbox) == [b"5"]


def test_coalescing_does_not_help_when_the_rest_is_too_much() -> None:
    outbox = Outbox(10, 5, lambda _ch, _ent: b"newest")
    outbox.push(b"1234567890", 0)
    assert outbox.push(b"x", 0, KEY)
    assert not outbox.push(b"y", 0)


def test_old_frames_are_a_slow_consumer_also_while_one_is_being_sent() -> None:
    outbox = Outbox(1_000, 5)
    outbox.push(b"a", 0)
    assert outbox.keeps_up(5)
    assert not outbox.keeps_up(5.1)
    assert outbox.pop(5.1) == b"a"
    assert not outbox.keeps_up(6)
    assert outbox.pop(6) is None
    assert outbox.keeps_up(60)


def test_old_frames_of_a_tracking_channel_coalesce_instead() -> None:
    outbox = Outbox(1_000, 5, lambda _ch, _ent: b"newest")
    outbox.push(b"old", 0, KEY)
    outbox.push(b"ping", 0, EXEMPT)
    outbox.push(b"older", 0, KEY)
    assert outbox.keeps_up(100)
    assert drained(outbox) == [b"ping", b"newest"]


def test_what_is_no_longer_subscribed_is_not_sent_after_coalescing() -> None:
    outbox = Outbox(3, 5, lambda _ch, _ent: None)
    outbox.push(b"aaa", 0, KEY)
    assert outbox.push(b"b", 0, KEY)
    assert drained(outbox) == []
    assert not outbox


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60))
def test_bytes_waiting_are_bounded_and_unkeyed_frames_never_lost(pushes: list[tuple[bool, int]]) -> None:
    outbox = Outbox(200, 5, lambda _ch, _ent: b"S")
    kept = []
    for index, (tracked, size) in enumerate(pushes):
        frame = f"{index:03}".encode().ljust(size, b".")
        if not outbox.push(frame, 0, KEY if tracked else None):
            return
        if not tracked:
            kept.append(frame)
        assert outbox.waiting_bytes <= 200
    sent = drained(outbox)
    assert [frame for frame in sent if frame in kept] == kept
    if any(tracked for tracked, _ in pushes):
        assert sent


def test_the_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(10.0, 3.0, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert 90 <= bucket.wait_ms() <= 110
    assert not bucket.take(0.05)
    assert bucket.take(0.16)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(50.0)


def test_a_large_snapshot_is_no_slowness_however_long_it_takes() -> None:
    outbox = Outbox(10, 5, asked_bytes_max=100)
    for _ in range(4):
        assert outbox.push(b"x" * 25, 0, ASKED)
    assert outbox.push(b"change", 1)
    assert outbox.keeps_up(60)
    assert len(drained(outbox)) == 5
    assert outbox.push(b"change", 61)
    assert outbox.keeps_up(64)
    assert not outbox.keeps_up(67)


def test_what_waited_behind_a_snapshot_has_its_own_time_after_it() -> None:
    outbox = Outbox(10, 5, asked_bytes_max=100)
    outbox.push(b"x" * 25, 0, ASKED)
    outbox.push(b"change", 0)
    outbox.pop(30)
    assert outbox.keeps_up(30)
    outbox.pop(30)
    assert outbox.keeps_up(34)
    assert not outbox.keeps_up(36)


def test_snapshots_have_a_bound_of_their_own_and_changes_beside_them_theirs() -> None:
    outbox = Outbox(10, 5, asked_bytes_max=100)
    assert outbox.push(b"x" * 100, 0, ASKED)
    assert not outbox.push(b"x" * 11, 0)
    assert not Outbox(10, 5, asked_bytes_max=100).push(b"x" * 101, 0, ASKED)


def test_a_ping_does_not_wait_behind_a_snapshot() -> None:
    outbox = Outbox(10, 5, asked_bytes_max=100)
    outbox.push(b"x" * 25, 0, ASKED)
    outbox.push(b"ping", 0, EXEMPT)
    assert outbox.pop(0) == b"ping"
