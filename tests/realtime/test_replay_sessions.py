"""A tablet's queue and its session: old epochs, replaced connections, revocation, the end of a session."""

from typing import Any

import pytest

from actors.runtime.entity import Actor
from actors.session_commands import Restore, Revoke, SignOut, session_id_of
from domain.errors import Invalid
from tests.realtime.fakes import DEVICE, command, settle
from tests.realtime.ledgers import PIA
from tests.realtime.queueing import ADMIN, ROOM, clinic, note, results


async def test_a_replaced_connection_runs_nothing_behind_what_it_could_not_count() -> None:
    async with clinic() as house:
        old = await house.tablet()
        house.ledger.hold = True
        house.port.outcome = lambda call: Invalid("no") if call["op"] == "leave" else None
        old.feed(command(1, ROOM, "leave"), note(2))
        await settle(60)
        await house.tablet()
        house.ledger.release()
        await settle(60)
        assert [call["op"] for call in house.port.calls] == ["leave"]


async def test_commands_of_an_old_epoch_are_kept_for_people_and_not_run() -> None:
    async with clinic() as house:
        wire = await house.tablet(epoch=2)
        assert await results(wire, note(1, epoch=2), note(1, "late", epoch=1)) == [
            (1, "applied", ""),
            (1, "rejected", "old_epoch"),
        ]
        assert len(house.port.calls) == 1
        assert [item["code"] for item in house.session().view()["quarantine"].values()] == ["old_epoch"]


async def test_a_device_that_comes_with_an_old_epoch_can_empty_its_queue_into_the_quarantine() -> None:
    async with clinic() as house:
        wire = await house.tablet(epoch=5)
        wire.hang_up()
        await settle()
        wire = await house.tablet(epoch=3)
        assert await results(wire, note(1, epoch=3), note(2, epoch=3)) == [
            (1, "rejected", "old_epoch"),
            (2, "rejected", "old_epoch"),
        ]
        assert house.port.calls == []
        assert len(house.session().view()["quarantine"]) == 2


async def test_what_a_newer_schema_says_is_kept_until_somebody_understands_it() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        assert await results(wire, note(1, schema=2)) == [(1, "rejected", "schema_unsupported")]
        assert house.port.calls == []
        assert len(house.session().view()["quarantine"]) == 1


async def test_a_revoked_person_s_commands_are_kept_and_not_run_from_that_moment_on() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        await results(wire, note(1))
        session_id = session_id_of("pia", DEVICE)
        house.ledger.do(session_id, Revoke(what="person", reason="left"), ADMIN)
        await settle()
        assert await results(wire, note(2)) == [(2, "rejected", "revoked")]
        house.ledger.do(session_id, Restore(), ADMIN)
        await settle()
        assert await results(wire, note(3)) == [(3, "applied", "")]
        assert len(house.port.calls) == 2


@pytest.mark.parametrize(
    ("command_", "actor", "code"),
    [(Revoke(what="device", reason="lost"), ADMIN, 4503), (SignOut(), PIA, 4003)],
    ids=["a revoked device", "a session that was signed out"],
)
async def test_what_ends_at_the_session_ends_the_socket_at_once(command_: Any, actor: Actor, code: int) -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.ledger.do(session_id_of("pia", DEVICE), command_, actor)
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == code


async def test_a_revoked_device_is_not_let_in_again() -> None:
    async with clinic() as house:
        await house.tablet()
        house.ledger.do(session_id_of("pia", DEVICE), Revoke(what="device", reason="lost"), ADMIN)
        wire = await house.hello()
        assert wire.closed is not None
        assert wire.closed[0] == 4503


async def test_the_newer_connection_of_a_device_replaces_the_older() -> None:
    async with clinic() as house:
        old = await house.tablet()
        new = await house.tablet()
        await settle()
        assert old.closed is not None
        assert old.closed[0] == 4505
        assert await results(new, note(1)) == [(1, "applied", "")]
        assert house.session().view()["status"] == "active"


async def test_a_device_with_results_that_were_never_given_is_told_to_count_anew() -> None:
    async with clinic() as house:
        await house.tablet()
        wire = await house.hello(first_unacked=9)
        assert wire.closed is not None
        assert wire.closed[0] == 4010


async def test_a_session_goes_away_with_its_socket_after_its_last_command_was_counted() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.port.hold = True
        wire.feed(note(1))
        await settle()
        wire.hang_up()
        await settle()
        assert house.session().view()["status"] == "active"
        house.port.hold = False
        house.port.release()
        await settle(60)
        view = house.session().view()
        assert (view["status"], view["last_seq"]) == ("away", 1)


async def test_a_session_that_was_signed_out_begins_again_only_with_a_new_login() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        await results(wire, note(1))
        house.staff.login_ms = house.session().now_ms
        house.session().now_ms += 3_600_000
        house.ledger.do(session_id_of("pia", DEVICE), SignOut(), PIA)
        await settle()
        again = await house.hello()
        assert again.closed is not None
        assert again.closed[0] == 4003
        assert house.session().view()["status"] == "ended"
        house.staff.login_ms = house.session().now_ms
        wire = await house.tablet(first_unacked=2)
        assert await results(wire, note(2)) == [(2, "applied", "")]


async def test_entities_hear_which_connection_of_a_device_speaks() -> None:
    async with clinic() as house:
        first = await house.tablet()
        assert await results(first, note(1)) == [(1, "applied", "")]
        second = await house.tablet()
        assert await results(second, note(2)) == [(2, "applied", "")]
        assert [call["generation"] for call in house.port.calls] == [1, 2]
