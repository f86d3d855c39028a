"""A durable queue: any crash loses nothing that was promised and repeats nothing that was settled."""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from realtime.client.errors import StoreError
from realtime.client.limits import DEFAULTS
from realtime.client.queue import CommandQueue, MemoryQueue
from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.store import DeviceStore

APPLIED = {"status": "applied", "ver": 1}


def body(number: int) -> dict[str, Any]:
    return {"ent": "counter/1", "op": "add", "args": {"amount": number}}


def opened(path: Path) -> SqliteQueue:
    return SqliteQueue(DeviceStore.open(path, subject="alice"))


def crash_image(path: Path, to: Path) -> Path:
    """The files as a killed process leaves them."""
    to.mkdir()
    for part in path.parent.glob(f"{path.name}*"):
        shutil.copy(part, to / part.name)
    return to / path.name


@pytest.mark.parametrize("durable", [True, False])
def test_commands_are_numbered_and_gone_with_their_results(tmp_path: Path, durable: bool) -> None:
    queue: CommandQueue = opened(tmp_path / "a.db") if durable else MemoryQueue()
    assert [queue.append(body(n)) for n in range(3)] == [1, 2, 3]
    queue.resolve(2, APPLIED)
    queue.commit()
    assert queue.after(1) == (3, body(2))
    assert queue.first_unacked() == 1
    queue.resolve(1, APPLIED)
    queue.resolve(3, APPLIED)
    queue.resolve(3, {"status": "duplicate"})
    queue.commit()
    assert queue.after(0) is None
    assert queue.first_unacked() == 4


@pytest.mark.parametrize("durable", [True, False])
def test_a_new_epoch_numbers_what_is_queued_from_one(tmp_path: Path, durable: bool) -> None:
    queue: CommandQueue = opened(tmp_path / "a.db") if durable else MemoryQueue()
    before = queue.epoch
    for n in range(4):
        queue.append(body(n))
    queue.resolve(1, APPLIED)
    queue.resolve(3, APPLIED)
    queue.commit()
    assert queue.renumber() == {2: 1, 4: 2}
    assert queue.epoch > before
    assert (queue.after(0), queue.after(1), queue.first_unacked()) == ((1, body(1)), (2, body(3)), 1)
    assert queue.append(body(9)) == 3


@pytest.mark.parametrize("durable", [True, False])
def test_a_count_that_is_behind_goes_on_where_the_server_is(tmp_path: Path, durable: bool) -> None:
    queue: CommandQueue = opened(tmp_path / "a.db") if durable else MemoryQueue()
    queue.append(body(0))
    queue.skip_to(1_000_000)
    queue.skip_to(5)
    assert queue.append(body(1)) == 1_000_000
    assert queue.after(1) == (1_000_000, body(1))
    assert queue.first_unacked() == 1


def test_a_skipped_count_is_remembered(tmp_path: Path) -> None:
    queue = opened(tmp_path / "a.db")
    queue.skip_to(50)
    again = opened(crash_image(tmp_path / "a.db", tmp_path / "crash"))
    assert again.append(body(1)) == 50


def test_a_result_counts_only_when_it_is_on_disk(tmp_path: Path) -> None:
    queue = opened(tmp_path / "a.db")
    queue.append(body(1))
    queue.resolve(1, APPLIED)
    assert queue.first_unacked() == 1
    queue.commit()
    assert queue.first_unacked() == 2


def test_a_command_that_cannot_be_stored_is_not_queued(tmp_path: Path) -> None:
    store = DeviceStore.open(tmp_path / "a.db", subject="alice")
    queue = SqliteQueue(store)
    queue.append(body(1))
    queue.resolve(1, APPLIED)
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError):
        queue.append(body(2))
    with pytest.raises(StoreError):
        queue.commit()
    assert (queue.last_seq, queue.first_unacked()) == (1, 1)
    store._connection.execute("PRAGMA query_only = 0")
    assert queue.append(body(3)) == 2
    assert queue.first_unacked() == 2


def test_old_results_are_pruned_but_not_those_that_nobody_has_seen(tmp_path: Path) -> None:
    queue = opened(tmp_path / "a.db")
    for n in range(DEFAULTS.results_kept + 2 * DEFAULTS.prune_results):
        seq = queue.append(body(n))
        queue.resolve(seq, {"status": "rejected", "code": "invalid"} if n == 5 else APPLIED)
        queue.commit()
    queue.append(body(0))
    kept = list(queue.kept())
    assert DEFAULTS.results_kept <= len(kept) <= DEFAULTS.results_kept + DEFAULTS.prune_results + 2
    (refused,) = queue.unseen()
    assert (refused.seq, refused.body) == (6, body(5))
    queue.seen(refused.key)
    assert not list(queue.unseen())


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"status": "applied"}, False),
        ({"status": "duplicate", "original": {"status": "applied"}}, False),
        ({"status": "conflict", "conflict_id": "c"}, True),
        ({"status": "rejected", "code": "invalid"}, True),
        ({"status": "duplicate", "original": {"status": "rejected", "quarantined": "q"}}, True),
    ],
)
def test_what_was_refused_waits_for_a_person(tmp_path: Path, result: dict[str, Any], shown: bool) -> None:
    queue = opened(tmp_path / "a.db")
    queue.resolve(queue.append(body(1)), result)
    queue.commit()
    assert [kept.result for kept in queue.unseen()] == ([result] if shown else [])


async def test_a_killed_process_loses_no_command_that_it_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    promised, cut_off = 0, set()
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.realtime.crashing_device", str(path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        heard = promised
        while heard < promised + 40:
            heard = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).split(b"\n")
        await process.wait()
        promised = max([heard, *(int(line) for line in rest[:-1])])
        queue = opened(path)
        kept = {one.seq: one for one in queue.kept()}
        assert queue.last_seq in {promised, promised + 1}, "one may be stored and not told"
        assert all(one.body["args"]["amount"] == seq for seq, one in kept.items())
        waiting = {seq for seq, one in kept.items() if one.result is None}
        cut_off |= {promised, promised - 1, queue.last_seq}  # whether its result was stored is anybody's guess
        assert waiting - cut_off == {seq for seq in range(1, queue.last_seq + 1) if seq % 3 != 2} - cut_off
        queue._store.close()
        promised = queue.last_seq


def test_storing_is_quick_enough_for_the_event_loop(tmp_path: Path) -> None:
    queue = opened(tmp_path / "a.db")
    took = []
    for n in range(200):
        began = time.perf_counter()
        queue.append(body(n))
        took.append(time.perf_counter() - began)
    assert sorted(took)[100] < 0.02, "half of all appends are far below what anybody notices"


class Crashes(RuleBasedStateMachine):
    """Against a model: `promised` are the commands whose append has returned, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.dir = Path(tempfile.mkdtemp())
        self.images = 0
        self.path = self.dir / "0" / "a.db"
        self.queue = opened(self.path)
        self.promised: list[int] = []
        self.settled: dict[int, bool] = {}  # number → whether it is certainly on disk
        self.numbers: dict[int, int] = {}  # seq → number, of this epoch
        self.count = 0
        self.used: dict[tuple[int, int], int] = {}

    def _use(self, seq: int, number: int) -> None:
        assert self.used.setdefault((self.queue.epoch, seq), number) == number, "a seq became another command"
        self.numbers[seq] = number

    @rule()
    def append(self) -> None:
        self.count += 1
        seq = self.queue.append(body(self.count))
        self.promised.append(self.count)
        self._use(seq, self.count)
        self.settled = dict.fromkeys(self.settled, True)

    @precondition(lambda self: len(self.settled) < len(self.promised))
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        seqs = [seq for seq, number in self.numbers.items() if number not in self.settled]
        seq = data.draw(st.sampled_from(seqs))
        self.queue.resolve(seq, APPLIED)
        self.settled[self.numbers[seq]] = False

    @rule()
    def commit(self) -> None:
        self.queue.commit()
        self.settled = dict.fromkeys(self.settled, True)

    @rule()
    def renumber(self) -> None:
        before, numbers = self.queue.epoch, dict(self.numbers)
        moved = self.queue.renumber()
        assert self.queue.epoch > before
        self.settled = dict.fromkeys(self.settled, True)
        self.numbers = {}
        for old, new in moved.items():
            self._use(new, numbers[old])

    @rule()
    def crash(self) -> None:
        self.images += 1
        epoch, old = self.queue.epoch, self.queue
        self.path = crash_image(self.path, self.dir / str(self.images))
        self.queue = opened(self.path)
        old._store.close()
        assert self.queue.epoch == epoch
        for number in [number for number, stored in self.settled.items() if not stored]:
            del self.settled[number]  # its result will come again

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self) -> None:
        waiting, seq = [], 0
        while (found := self.queue.after(seq)) is not None:
            seq = found[0]
            waiting.append(found[1]["args"]["amount"])
            assert self.numbers[seq] == waiting[-1]
        stored = {number for number, certain in self.settled.items() if certain}
        assert waiting == [number for number in self.promised if number not in stored]
        assert self.queue.first_unacked() == min(
            (seq for seq, number in self.numbers.items() if number not in stored), default=self.queue.last_seq + 1
        )

    def teardown(self) -> None:
        self.queue._store.close()
        shutil.rmtree(self.dir)


Crashes.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCrashes = Crashes.TestCase
