"""Sockets on a gateway: logging in, commands, signals, going away."""

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from domain.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Internal,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooMany,
    Unavailable,
)
from realtime.channels import order_tracking
from realtime.codec import JSON, MSGPACK, Codec
from realtime.limits import DEFAULTS
from realtime.ports import Credentials
from tests.conditions import until
from tests.realtime.fakes import CART, DEVICE, ORDER, WALL_MS, Answer, House, command, settle

HELLO: dict[str, Any] = {"t": "hello", "v": [1, 1], "device_id": DEVICE, "epoch": 1, "token": "alice"}


# -- logging in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "code"), [("forged", 4500), ("", 4500), ("expired", 4003)])
async def test_a_bad_token_closes_the_socket(token: str, code: int) -> None:
    async with House() as house:
        wire = house.open()
        wire.feed({**HELLO, "token": token})
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == code
        assert len(house.gateway) == 0


async def test_a_token_that_is_past_its_time_is_expired_whatever_the_authenticator_says() -> None:
    async with House() as house:
        house.logins.expires_ms = WALL_MS - 1
        wire = house.open()
        wire.feed(HELLO)
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == 4003


async def test_keys_that_cannot_be_had_now_send_the_client_elsewhere() -> None:
    async with House() as house:
        house.logins.down = True
        wire = house.open()
        wire.feed(HELLO)
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == 4001


async def test_a_device_id_is_a_uuid() -> None:
    async with House() as house:
        wire = house.open()
        wire.feed({**HELLO, "device_id": "my tablet"})
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == 4501


async def test_silence_after_connecting_closes_with_4502() -> None:
    async with House() as house:
        wire = house.open()
        await settle()
        await house.tick(5)
        assert wire.closed == (4502, "no hello in time")


async def test_a_share_link_opens_its_order_without_a_login() -> None:
    async with House() as house:
        house.entities.put(ORDER, {"status": "placed"})
        order_id = ORDER[6:]
        wire = house.open(scope=order_tracking(order_id), credentials=Credentials(share="s1", order_id=order_id))
        wire.feed({"t": "hello", "v": [1, 1]})
        await settle()
        assert [frame["t"] for frame in wire.sent] == ["welcome", "subscribed", "snapshot"]
        assert house.logins.seen[0].share == "s1"
        assert house.session().actor.subject == "share:s1"


async def test_the_live_token_can_be_renewed_but_not_swapped() -> None:
    async with House() as house:
        house.logins.expires_ms = WALL_MS + 60_000
        wire = await house.connect()
        house.logins.expires_ms = WALL_MS + 600_000
        wire.feed({"t": "auth", "token": "alice"})
        await settle()
        assert wire.take() == [{"t": "auth_ok", "token_ttl": 600}]
        wire.feed({"t": "auth", "token": "bob"})
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == 4500
        assert house.port.calls == []


async def test_a_connection_over_the_limit_is_closed_with_4504() -> None:
    async with House(msgspec.structs.replace(DEFAULTS, connections_max=1)) as house:
        await house.connect()
        second = house.open()
        await settle()
        assert second.closed is not None
        assert second.closed[0] == 4504


# -- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
async def test_a_command_gets_its_result(codec: Codec) -> None:
    async with House() as house:
        wire = await house.connect(codec=codec)
        house.port.outcome = lambda _: Answer(3, data={"line_id": "l1"})
        wire.feed(command(1, product="p", quantity=2))
        await settle()
        assert wire.take() == [
            {
                "t": "result",
                "epoch": 1,
                "seq": 1,
                "status": "applied",
                "ent": CART,
                "ver": 3,
                "reply": {"line_id": "l1"},
            }
        ]
        (call,) = house.port.calls
        assert (call["actor"].subject, call["op"], call["args"]) == (
            "alice",
            "add_line",
            {"product": "p", "quantity": 2},
        )
        assert (len(call["command_id"]), len(call["body_hash"]), call["device"]) == (16, 16, DEVICE)


async def test_a_repeat_after_reconnecting_has_the_same_command_id_and_gives_the_original() -> None:
    async with House() as house:
        first = await house.connect()
        first.feed(command(1, quantity=2))
        await settle()
        first.hang_up()
        second = await house.connect(codec=MSGPACK, first_unacked=1)
        second.feed(command(1, quantity=2))
        await settle()
        (result,) = second.take()
        assert (result["status"], result["original"]) == ("duplicate", {"status": "applied", "ver": 1})
        one, two = house.port.calls
        assert (one["command_id"], one["body_hash"]) == (two["command_id"], two["body_hash"])


async def test_another_person_device_epoch_or_seq_is_another_command() -> None:
    async with House() as house:
        variants = [
            ("alice", DEVICE, 1, 1),
            ("bob", DEVICE, 1, 1),
            ("alice", str(uuid.UUID(int=7)), 1, 1),
            ("alice", DEVICE, 2, 1),
            ("alice", DEVICE, 1, 2),
        ]
        for token, device, epoch, seq in variants:
            wire = await house.connect(token, device_id=device, epoch=epoch, first_unacked=seq)
            wire.feed({**command(seq), "epoch": epoch})
            await settle()
        assert len({call["command_id"] for call in house.port.calls}) == len(variants)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Conflict("no", extra={"current": "open"}), {"status": "conflict", "code": "conflict", "current": "open"}),
        (NotFound("no"), {"status": "rejected", "code": "not_found"}),
        (Forbidden("no"), {"status": "rejected", "code": "forbidden"}),
        (PreconditionFailed("no"), {"status": "rejected", "code": "precondition_failed"}),
        (Invalid("no", code="idempotency_key_reused"), {"status": "rejected", "code": "seq_reuse"}),
        (
            Invalid("no", errors=[FieldError("quantity", "too_small", "at least 1")]),
            {"errors": [{"path": "quantity", "code": "too_small", "message": "at least 1"}]},
        ),
        (Internal("", extra={"correlation_id": "c"}), {"status": "rejected", "code": "internal", "correlation": "c"}),
        (ZeroDivisionError("a bug"), {"status": "rejected", "code": "internal"}),
    ],
)
async def test_a_refusal_is_final_and_does_not_block_the_queue(error: Exception, expected: dict[str, Any]) -> None:
    async with House() as house:
        wire = await house.connect()
        house.port.outcome = lambda call: error if call["op"] == "bad" else None
        wire.feed(command(1, op="bad"), command(2))
        await settle()
        refused, applied = wire.take("result")
        assert {**refused, **expected} == refused
        assert applied["status"] == "applied"


@pytest.mark.parametrize("error", [Unavailable("host"), TooMany("mailbox", retry_after_ms=70)])
async def test_a_temporary_failure_holds_what_comes_after_it_on_the_entity(error: Exception) -> None:
    async with House() as house:
        wire = await house.connect()
        failing = True
        house.port.outcome = lambda call: error if failing and call["args"].get("n") == 1 else None
        wire.feed(command(1, n=1), command(2, n=2), command(3, ORDER, n=3))
        await settle()
        frames = wire.take()
        errors = {frame["ref"]: frame for frame in frames if frame["t"] == "error"}
        assert errors[1]["temporary"]
        assert errors[1]["retry_after_ms"] in {70, 500}
        assert (errors[2]["code"], errors[2]["expected"]) == ("gap", 1)
        assert [frame["seq"] for frame in frames if frame["t"] == "result"] == [3]
        failing = False
        wire.feed(command(1, n=1), command(2, n=2), command(3, ORDER, n=3))
        await settle()
        assert [(frame["seq"], frame["status"]) for frame in wire.take("result")] == [
            (1, "applied"),
            (3, "duplicate"),
            (2, "applied"),
        ]
        assert [call["args"]["n"] for call in house.port.calls if call["ent"] == CART] == [1, 1, 2]


async def test_entities_do_not_wait_for_each_other_but_each_keeps_its_order() -> None:
    async with House() as house:
        wire = await house.connect()
        house.port.hold = True
        wire.feed(command(1, n=1), command(2, n=2), command(3, ORDER, n=3))
        await settle()
        assert [call["args"]["n"] for call in house.port.calls] == [1, 3]
        house.port.hold = False
        house.port.release()
        await settle()
        assert [call["args"]["n"] for call in house.port.calls] == [1, 3, 2]
        assert sorted(frame["seq"] for frame in wire.take("result")) == [1, 2, 3]


async def test_a_command_for_a_kind_that_is_not_let_through_is_not_found() -> None:
    async with House() as house:
        wire = await house.connect()
        wire.feed(command(1, "room/1"), command(2, "nonsense"))
        await settle()
        assert [frame["code"] for frame in wire.take("result")] == ["not_found", "not_found"]
        assert house.port.calls == []


async def test_arguments_that_json_cannot_hold_are_rejected() -> None:
    async with House() as house:
        wire = await house.connect(codec=MSGPACK)
        wire.feed(command(1, value={3: b"\x00"}))
        await settle()
        assert wire.take()[0]["code"] == "invalid"
        assert wire.closed is None


async def test_a_command_that_has_begun_ends_although_its_socket_is_gone() -> None:
    async with House() as house:
        wire = await house.connect()
        house.port.hold = True
        wire.feed(command(1), command(2))
        await settle()
        wire.hang_up()
        await settle()
        assert len(house.gateway) == 0
        house.port.hold = False
        house.port.release()
        await settle()
        assert len(house.port.done) == 1
        assert not house.services.running


async def test_many_commands_at_once_are_all_answered() -> None:
    async with House() as house:
        wire = await house.connect()
        wire.feed(*(command(seq, f"cart/{seq % 7}") for seq in range(1, 61)))
        await settle(200)
        assert sorted(frame["seq"] for frame in wire.take("result")) == list(range(1, 61))


# -- signals, acks, malformed input ---------------------------------------------------------------


async def test_of_waiting_signals_only_the_newest_is_sent() -> None:
    async with House() as house:
        wire = await house.connect()
        house.port.hold = True
        wire.feed(*({"t": "signal", "ent": ORDER, "name": "position", "args": {"n": n}} for n in range(5)))
        await settle()
        house.port.hold = False
        house.port.release()
        await settle()
        assert house.port.signals == [("position", {"n": 0}), ("position", {"n": 4})]
        assert wire.take() == []


async def test_a_refused_signal_is_told() -> None:
    async with House() as house:
        wire = await house.connect()
        house.port.outcome = lambda _: Forbidden("not your order")
        wire.feed({"t": "signal", "ent": ORDER, "name": "position"}, {"t": "ack", "results_upto": 3})
        await settle()
        (error,) = wire.take()
        assert (error["ref"], error["of"], error["code"], error["temporary"]) == (
            "position",
            "signal",
            "forbidden",
            False,
        )


@pytest.mark.parametrize("data", ["{", "[]", b"\x00", '{"t":"command"}', "x" * 70_000])
async def test_malformed_and_oversized_frames_close_with_4501(data: str | bytes) -> None:
    async with House() as house:
        wire = await house.connect()
        wire.feed(data)
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == 4501
        assert len(house.gateway) == 0


# -- going away -----------------------------------------------------------------------------------


async def test_a_drain_tells_everybody_then_closes_them_one_by_one() -> None:
    async with House() as house:
        wires = [await house.connect() for _ in range(8)]
        await house.gateway.drain(10)
        for wire in wires:
            (goaway,) = wire.take()
            assert (goaway["t"], goaway["drain_ms"], goaway["backoff"]) == ("goaway", 10_000, [500, 30_000])
            assert wire.closed == (4001, "shutdown")
        late = house.open()
        await settle()
        assert late.closed == (4001, "draining")
        assert len(house.gateway) == 0


async def test_a_result_that_is_ready_is_sent_before_the_close() -> None:
    async with House() as house:
        wire = await house.connect()
        wire.stick()
        wire.feed(command(1))
        await until(lambda: house.port.done, "the command has run")
        await settle()
        house.session().shut(4001, "shutdown")
        wire.flow()
        await settle()
        assert [frame["seq"] for frame in wire.take("result")] == [1]
        assert wire.closed == (4001, "shutdown")


async def test_a_peer_that_stopped_reading_does_not_hold_up_its_closing() -> None:
    async with House(msgspec.structs.replace(DEFAULTS, close_seconds_max=0.01)) as house:
        house.entities.put(CART, {"n": 1})
        wire = await house.connect(subs=[{"ch": CART}])
        wire.stick()
        house.entities.put(CART, {"n": 2})
        await settle()
        house.session().shut(4001, "shutdown")
        await until(lambda: len(house.gateway) == 0, "the socket is given up")


async def test_cancelling_the_handler_releases_everything() -> None:
    async with House() as house:
        house.entities.put(CART, {"n": 1})
        await house.connect(subs=[{"ch": CART}])
        (task,) = house._tasks
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert len(house.gateway) == 0
        assert house.hub.table.channels[CART].subs == {}


async def test_a_silent_socket_is_closed_with_4012() -> None:
    async with House() as house:
        wire = await house.connect()
        await house.tick(34)
        assert wire.closed is not None
        assert wire.closed[0] == 4012
