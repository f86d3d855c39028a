"""A tablet that loses replies, comes back, is reset and is sent twice: the count never loses and never repeats."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.session_commands import Ack, Outcome, Recall
from actors.session_state import RESULTS_KEPT, UNACKED_MAX
from tests.actors.sessions import PIA, done, hello, item_of, new_session, recorded, refused_outcome, reply


class Tablet(RuleBasedStateMachine):
    """The oracle: what was recorded of each epoch in order, and what is in quarantine."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = new_session()
        self.epoch = 1
        self.epochs = {1: 0}
        self.acked = {1: 0}
        self.results: dict[tuple[int, int], Outcome] = {}
        self.quarantined: set[str] = set()

    @property
    def last_seq(self) -> int:
        return self.epochs[self.epoch]

    @rule(count=st.integers(1, 60), bad=st.sets(st.integers(0, 59), max_size=2))
    def commands_come_to_an_end(self, count: int, bad: set[int]) -> None:
        if self.last_seq + count - self.acked[self.epoch] > UNACKED_MAX:
            return
        numbers = range(self.last_seq + 1, self.last_seq + 1 + count)
        entries = [
            refused_outcome(seq, self.epoch) if at in bad else done(seq, self.epoch) for at, seq in enumerate(numbers)
        ]
        recorded(self.desk, *entries)
        self.keep(entries)

    def keep(self, entries: list[Outcome]) -> None:
        for entry in entries:
            self.results[entry.epoch, entry.seq] = entry
            self.epochs[entry.epoch] = entry.seq
            if entry.item_id:
                self.quarantined.add(entry.item_id)

    @precondition(lambda self: self.last_seq)
    @rule(data=st.data(), new=st.integers(0, 3))
    def the_reply_was_lost_and_the_batch_comes_again(self, data: st.DataObject, new: int) -> None:
        first = data.draw(st.integers(max(1, self.last_seq - 20), self.last_seq))
        old = [self.results[self.epoch, seq] for seq in range(first, self.last_seq + 1)]
        fresh = [done(seq, self.epoch) for seq in range(self.last_seq + 1, self.last_seq + 1 + new)]
        if self.last_seq + new - self.acked[self.epoch] > UNACKED_MAX:
            return
        recorded(self.desk, *old, *fresh)
        self.keep(fresh)

    @precondition(lambda self: self.last_seq)
    @rule(data=st.data())
    def another_body_comes_under_a_known_number(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, self.last_seq))
        recorded(self.desk, refused_outcome(seq, self.epoch, body="other", code="seq_reuse"))
        self.quarantined.add(item_of(seq, self.epoch, "other"))

    @precondition(lambda self: self.last_seq)
    @rule(data=st.data())
    def results_are_acknowledged(self, data: st.DataObject) -> None:
        upto = data.draw(st.integers(0, self.last_seq))
        self.desk.do(Ack(epoch=self.epoch, upto=upto), PIA)
        self.acked[self.epoch] = max(self.acked[self.epoch], self.desk_acked())

    def desk_acked(self) -> int:
        assert self.desk.state is not None
        return self.desk.state.counts[self.epoch].acked

    @rule(data=st.data())
    def the_device_comes_back(self, data: st.DataObject) -> None:
        unacked = data.draw(st.integers(self.acked[self.epoch] + 1, self.last_seq + 1))
        assert hello(self.desk, self.epoch, unacked)["last_seq"] == self.last_seq
        self.acked[self.epoch] = unacked - 1

    @rule()
    def the_device_was_reset(self) -> None:
        self.epoch += 1
        self.epochs[self.epoch] = self.acked[self.epoch] = 0
        assert hello(self.desk, self.epoch)["last_seq"] == 0

    @precondition(lambda self: self.epoch > 1)
    @rule(gap=st.integers(1, 5))
    def a_command_of_an_old_epoch_comes(self, gap: int) -> None:
        entry = refused_outcome(self.epochs[self.epoch - 1] + gap, self.epoch - 1, code="old_epoch")
        recorded(self.desk, entry)
        self.keep([entry])

    @rule()
    def the_host_restarts(self) -> None:
        assert self.desk.replayed() == self.desk.state
        self.desk.state = self.desk.restored()

    @invariant()
    def every_watermark_is_where_the_queue_has_come(self) -> None:
        assert self.desk.state is not None
        assert {epoch: count.last_seq for epoch, count in self.desk.state.counts.items()} == self.epochs

    @invariant()
    def what_is_kept_is_the_first_result(self) -> None:
        assert self.desk.state is not None
        for epoch, count in self.desk.state.counts.items():
            for seq, kept in count.results.items():
                assert kept.hash == self.results[epoch, seq].hash
                assert msgspec.msgpack.decode(kept.result) == self.results[epoch, seq].result

    @invariant()
    def what_is_not_acknowledged_and_the_newest_are_kept(self) -> None:
        acked = self.acked[self.epoch]
        floor = min(acked, self.last_seq - RESULTS_KEPT)
        page = reply(self.desk.do(Recall(epoch=self.epoch, after=max(floor, 0)), PIA))
        if not page["more"]:
            assert [seq for seq, _, _ in page["results"]] == list(range(max(floor, 0) + 1, self.last_seq + 1))

    @invariant()
    def old_epochs_keep_a_bounded_number(self) -> None:
        assert self.desk.state is not None
        older = [len(count.results) for epoch, count in self.desk.state.counts.items() if epoch < self.epoch]
        assert sum(older) <= RESULTS_KEPT

    @invariant()
    def nothing_leaves_the_quarantine_by_itself(self) -> None:
        assert self.desk.state is not None
        assert set(self.desk.state.quarantine) == self.quarantined


Tablet.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestTablet = Tablet.TestCase
