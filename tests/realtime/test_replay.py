"""A tablet's queue: in order, counted before it is answered, never run twice, never dropped."""

from typing import Any

import pytest

from domain.errors import Conflict, Invalid, Unavailable
from domain.hlc import stamp
from tests.realtime.entities import WALL_MS, Answer
from tests.realtime.fakes import DEVICE, command, settle
from tests.realtime.queueing import DOCUMENT, ROOM, SCOPE, clinic, note, results


async def test_a_result_goes_out_only_after_the_session_has_kept_it() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.ledger.hold = True
        assert await results(wire, note(1)) == []
        assert len(house.port.calls) == 1
        house.ledger.release()
        await settle()
        assert [one["status"] for one in wire.take("result")] == ["applied"]
        assert house.session().view()["last_seq"] == 1


async def test_commands_run_one_after_the_other_whatever_they_are_about() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.hold = True
        wire.feed(note(1), note(2, ent=ROOM), note(3))
        await settle()
        assert [call["ent"] for call in house.port.calls] == [DOCUMENT]
        house.port.hold = False
        house.port.release()
        await settle(60)
        assert [call["ent"] for call in house.port.calls] == [DOCUMENT, ROOM, DOCUMENT]
        assert [one["seq"] for one in wire.take("result")] == [1, 2, 3]


async def test_a_long_queue_is_kept_in_few_commits_while_it_runs() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        wire.feed(*(note(seq) for seq in range(1, 65)))
        await settle(400)
        assert [one["seq"] for one in wire.take("result")] == list(range(1, 65))
        assert len(house.ledger.records) <= 5


async def test_a_repeat_gets_its_first_result_and_is_not_run_again() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda _: Answer(1, data={"line": 7})
        await results(wire, note(1))
        house.port.outcome = lambda _: Invalid("now it would be refused")
        wire.feed(note(1))
        await settle()
        (again,) = wire.take("result")
        assert again["status"] == "duplicate"
        assert again["original"] == {"status": "applied", "ver": 1, "reply": {"line": 7}}
        assert len(house.port.calls) == 1


async def test_a_refusal_is_final_also_when_the_same_command_would_be_accepted_now() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda _: Invalid("no", code="unknown_product")
        assert await results(wire, note(1)) == [(1, "rejected", "unknown_product")]
        house.port.outcome = lambda _: None
        wire.hang_up()
        await settle()
        wire = await house.tablet(first_unacked=1)
        wire.feed(note(1))
        await settle()
        (again,) = wire.take("result")
        assert (again["status"], again["original"]["status"]) == ("duplicate", "rejected")
        assert len(house.port.calls) == 1


async def test_results_that_got_lost_with_the_socket_are_given_again_on_the_next() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        await results(wire, note(1), note(2))
        wire.hang_up()
        await settle()
        wire = house.open(scope=SCOPE)
        wire.feed({"t": "hello", "v": [1, 1], "device_id": DEVICE, "epoch": 1, "token": "pia", "first_unacked": 1})
        await settle()
        assert wire.take("welcome")[0]["last_seq"] == 2
        assert await results(wire, note(1), note(2), note(3)) == [
            (1, "duplicate", ""),
            (2, "duplicate", ""),
            (3, "applied", ""),
        ]
        assert len(house.port.calls) == 3


async def test_the_same_number_with_another_body_is_refused_and_kept_for_people() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        await results(wire, note(1, "swelling"))
        assert await results(wire, note(1, "no swelling")) == [(1, "rejected", "seq_reuse")]
        assert len(house.port.calls) == 1
        (item,) = house.session().view()["quarantine"].values()
        assert (item["seq"], item["ent"], item["op"], item["code"]) == (1, DOCUMENT, "append_note", "seq_reuse")
        assert house.session().view()["last_seq"] == 1


async def test_a_refused_clinical_edit_is_kept_whole_and_the_queue_goes_on() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda call: Invalid("no", code="outside_face") if call["args"]["text"] == "bad" else None
        wire.feed(note(1, "bad"), note(2))
        await settle(60)
        bad, good = wire.take("result")
        assert (bad["status"], good["status"]) == ("rejected", "applied")
        assert bad["quarantined"] in house.session().view()["quarantine"]


async def test_what_holds_no_clinical_facts_is_refused_and_forgotten() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda _: Conflict("no", extra={"current": "held"})
        assert await results(wire, note(1, ent=ROOM)) == [(1, "conflict", "conflict")]
        assert "quarantine" not in house.session().view()


async def test_an_entity_that_keeps_both_values_makes_it_a_conflict_and_nothing_is_quarantined() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda _: Answer(4, data={"conflict_id": "c-1", "current": "10 U"})
        wire.feed(note(1))
        await settle()
        (result,) = wire.take("result")
        assert (result["status"], result["conflict_id"], result["current"]) == ("conflict", "c-1", "10 U")
        assert "quarantine" not in house.session().view()


async def test_a_temporary_failure_holds_the_queue_and_nothing_behind_it_runs() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda call: Unavailable("away") if call["args"]["text"] == "note 2" else None
        wire.feed(note(1), note(2), note(3))
        await settle(60)
        frames = wire.take("result", "error")
        assert [(one["t"], one.get("code", "")) for one in frames] == [
            ("result", ""),
            ("error", "unavailable"),
            ("error", "gap"),
        ]
        assert frames[2]["expected"] == 2
        house.port.outcome = lambda _: None
        assert await results(wire, note(2), note(3)) == [(2, "applied", ""), (3, "applied", "")]


async def test_what_was_executed_but_not_counted_is_sent_again_and_answered_from_the_entity() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.ledger.failing = Unavailable("away")
        wire.feed(note(1), note(2))
        await settle(60)
        assert wire.take("result") == []
        house.ledger.failing = None
        assert await results(wire, note(1), note(2)) == [(1, "duplicate", ""), (2, "duplicate", "")]
        assert len(house.port.done) == 2
        assert house.session().view()["last_seq"] == 2


@pytest.mark.parametrize("forgotten", [Invalid("no"), Answer(4, noop=True)], ids=["refused", "nothing to do"])
async def test_what_its_entity_forgets_is_counted_before_the_next_command_runs(forgotten: Any) -> None:
    """Sent again after a crash it is decided anew: it must not take effect behind a command that came after it."""
    async with clinic() as house:
        wire = await house.tablet()
        house.ledger.hold = True
        house.port.outcome = lambda call: forgotten if call["op"] == "leave" else None
        wire.feed(command(1, ROOM, "leave"), note(2), note(3))
        await settle(60)
        assert [call["op"] for call in house.port.calls] == ["leave"]
        house.ledger.failing = Unavailable("the journal is away")
        house.ledger.release()
        await settle(60)
        assert [call["op"] for call in house.port.calls] == ["leave"]
        assert sorted(one["ref"] for one in wire.take("error")) == [1, 2, 3]
        house.ledger.failing = None
        house.port.outcome = lambda _: None
        assert [one[:2] for one in await results(wire, command(1, ROOM, "leave"), note(2), note(3))] == [
            (1, "applied"),
            (2, "applied"),
            (3, "applied"),
        ]
        assert [call["op"] for call in house.port.calls] == ["leave", "leave", "append_note", "append_note"]


async def test_an_outcome_that_was_kept_though_nobody_said_so_is_the_one_that_counts() -> None:
    """The commit of a refusal went through and its answer was lost; meanwhile the command would be accepted."""
    async with clinic() as house:
        wire = await house.tablet()
        house.ledger.lost_answers = 1
        house.port.outcome = lambda _: Invalid("no", code="unknown_product")
        wire.feed(note(1))
        await settle(60)
        assert [one["ref"] for one in wire.take("error")] == [1]
        house.port.outcome = lambda _: None
        wire.feed(note(1))
        await settle(60)
        (told,) = wire.take("result")
        assert (told["status"], told["original"]["code"]) == ("duplicate", "unknown_product")
        assert len(house.port.calls) == 1


async def test_a_repeat_that_waits_behind_a_held_command_is_not_waited_for() -> None:
    """The device has its result and goes on with the held one: to expect the repeat again would be for ever."""
    async with clinic() as house:
        wire = await house.tablet()
        house.port.outcome = lambda call: Unavailable("away") if call["args"]["text"] == "note 3" else None
        wire.feed(note(1), note(2), note(3), note(1), note(2))
        await settle(80)
        assert [one["seq"] for one in wire.take("result")] == [1, 2]
        house.port.outcome = lambda _: None
        assert await results(wire, note(3)) == [(3, "applied", "")]


async def test_a_clock_a_year_ahead_is_stamped_anew_and_what_it_said_is_kept() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        ahead = stamp(WALL_MS + 365 * 86_400_000, 3, "tab")
        await results(wire, note(1, hlc=ahead), note(2, hlc=stamp(WALL_MS - 3_600_000)))
        first, second = house.port.calls
        assert (first["hlc"], first["hlc_raw"]) == (stamp(house.clock.wall(), 3, "tab"), ahead)
        assert (second["hlc"], second["hlc_raw"]) == (stamp(WALL_MS - 3_600_000), "")


async def test_arguments_that_nothing_can_hold_are_refused_and_the_queue_goes_on() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        huge = {**note(1), "args": {"text": 10**400}}
        house.port.outcome = lambda call: Invalid("no") if call["args"]["text"] == 10**400 else None
        assert await results(wire, huge, note(2)) == [(1, "rejected", "invalid"), (2, "applied", "")]


async def test_acknowledged_results_are_pruned_and_the_count_stays() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        for start in range(1, 400, 50):
            wire.feed(*(note(seq) for seq in range(start, start + 50)))
            await settle(400)
            wire.feed({"t": "ack", "results_upto": start + 49})
            await settle()
            house.clock.now += 10
        wire.take()
        state = house.session().state
        assert state.counts[1].last_seq == 400
        assert len(state.counts[1].results) < 200
        assert await results(wire, note(1)) == [(1, "rejected", "seq_reuse")]
        assert await results(wire, note(399)) == [(399, "duplicate", "")]
