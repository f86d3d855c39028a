"""The protocol state of one socket, driven frame by frame on a clock of its own."""

import json
from typing import Any

import msgspec
import pytest

from realtime.channels import live, order_tracking
from realtime.codec import JSON
from realtime.connection import Connection, Phase
from realtime.frames import Command, Hello, Result, ServerFrame
from realtime.limits import DEFAULTS
from tests.realtime.fakes import CART, DEVICE, ORDER, WALL_MS, command

HELLO = {"t": "hello", "v": [1, 1], "device_id": DEVICE, "epoch": 1, "token": "alice"}


class Wireless:
    def __init__(self, **limits: Any) -> None:
        self.now = 100.0
        scope = limits.pop("scope", live(frozenset({"cart", "order"})))
        self.limits = msgspec.structs.replace(DEFAULTS, **limits)
        self.connection = Connection(JSON, scope, self.limits, "c1", self.now)

    def say(self, frame: dict[str, Any]) -> Any:
        return self.connection.receive(json.dumps(frame), self.now)

    def heard(self) -> list[dict[str, Any]]:
        frames = []
        while (frame := self.connection.outbox.pop(self.now)) is not None:
            frames.append(json.loads(frame))
        return frames

    def opened(self, last_seq: int = 0, ttl: int | None = None) -> "Wireless":
        assert isinstance(self.say(HELLO), Hello)
        self.connection.welcome(last_seq, resumed=False, ttl_seconds=ttl, wall_ms=WALL_MS, now=self.now)
        self.heard()
        return self

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 1.0)
            self.connection.tick(self.now)

    @property
    def closed(self) -> int | None:
        return None if self.connection.closing is None else self.connection.closing.code


def test_no_hello_within_five_seconds_closes_with_4502() -> None:
    wire = Wireless()
    wire.pass_time(4.0)
    assert wire.closed is None
    wire.pass_time(1.0)
    assert wire.closed == 4502


@pytest.mark.parametrize("first", [{"t": "pong", "n": 1}, command(1), {"t": "nonsense"}])
def test_any_other_first_frame_closes_with_4502(first: dict[str, Any]) -> None:
    wire = Wireless()
    assert wire.say(first) is None
    assert wire.closed == 4502


@pytest.mark.parametrize(("offered", "code"), [([2, 3], 4506), ([0, 0], 4506), ([1, 9], None), ([0, 1], None)])
def test_versions_are_negotiated(offered: list[int], code: int | None) -> None:
    wire = Wireless()
    wire.say({**HELLO, "v": offered})
    assert wire.closed == code


def test_nothing_is_accepted_between_hello_and_welcome() -> None:
    wire = Wireless()
    wire.say(HELLO)
    wire.say(command(1))
    assert wire.closed == 4502


def test_a_second_hello_and_a_malformed_frame_close_with_4501() -> None:
    wire = Wireless().opened()
    wire.say(HELLO)
    assert wire.closed == 4501
    other = Wireless().opened()
    other.connection.receive("{", other.now)
    assert other.closed == 4501
    assert other.connection.phase is Phase.CLOSED


def test_the_welcome_says_the_limits_and_the_watermark() -> None:
    wire = Wireless()
    wire.say(HELLO)
    wire.connection.welcome(7, resumed=True, ttl_seconds=60, wall_ms=WALL_MS, now=wire.now)
    (welcome,) = wire.heard()
    assert (welcome["t"], welcome["v"], welcome["last_seq"], welcome["resumed"]) == ("welcome", 1, 7, True)
    assert (welcome["ping_ms"], welcome["token_ttl"], welcome["limits"]["channels"]) == (25_000, 60, 128)


def test_an_unknown_type_gets_an_error_and_the_socket_stays_open() -> None:
    wire = Wireless().opened()
    assert wire.say({"t": "telepathy", "ch": "a/b"}) is None
    (error,) = wire.heard()
    assert (error["t"], error["code"], error["temporary"], error["of"]) == ("error", "unknown_type", False, "telepathy")
    assert wire.closed is None


def test_commands_run_in_sequence_and_a_gap_runs_nothing() -> None:
    wire = Wireless().opened(last_seq=4)
    assert isinstance(wire.say(command(5)), Command)
    assert wire.say(command(7)) is None
    (gap,) = wire.heard()
    assert (gap["code"], gap["temporary"], gap["expected"], gap["ref"]) == ("gap", True, 6, 7)
    assert isinstance(wire.say(command(6)), Command)


def test_a_repeated_seq_runs_again_for_the_entity_to_recognize() -> None:
    wire = Wireless().opened(last_seq=4)
    assert isinstance(wire.say(command(2)), Command)
    assert wire.connection.last_seq == 4


def test_a_held_command_is_expected_next() -> None:
    wire = Wireless().opened()
    for seq in (1, 2, 3):
        wire.say(command(seq))
    wire.connection.held(2, "unavailable", 250, wire.now)
    wire.connection.skipped(3, wire.now)
    held, skipped = wire.heard()
    assert (held["ref"], held["temporary"], held["retry_after_ms"]) == (2, True, 250)
    assert (skipped["code"], skipped["expected"]) == ("gap", 2)
    assert wire.say(command(4)) is None
    assert isinstance(wire.say(command(2)), Command)
    assert isinstance(wire.say(command(3)), Command)


def test_at_most_64_commands_are_in_flight() -> None:
    wire = Wireless().opened()
    for seq in range(1, 65):
        assert wire.say(command(seq)) is not None
    assert wire.say(command(65)) is None
    (error,) = wire.heard()
    assert (error["code"], error["temporary"]) == ("in_flight", True)
    wire.connection.answered(Result(1, 1, "applied", CART), wire.now)
    assert wire.say(command(65)) is not None


def test_commands_of_another_epoch_or_without_a_device_are_refused_for_good() -> None:
    wire = Wireless().opened()
    wire.say({**command(1), "epoch": 2})
    nameless = Wireless()
    nameless.say({**HELLO, "device_id": ""})
    nameless.connection.welcome(0, resumed=False, ttl_seconds=None, wall_ms=WALL_MS, now=nameless.now)
    nameless.heard()
    nameless.say(command(1))
    assert [(frame["code"], frame["temporary"]) for frame in (*wire.heard(), *nameless.heard())] == [
        ("epoch", False),
        ("no_device", False),
    ]


def test_more_than_the_burst_is_refused_for_now_and_a_flood_closes_with_4013() -> None:
    wire = Wireless(commands_in_flight_max=10_000).opened()
    for seq in range(1, 201):
        assert wire.say(command(seq)) is not None
    assert wire.say(command(201)) is None
    (error,) = wire.heard()
    assert (error["code"], error["temporary"]) == ("rate", True)
    assert 1 <= error["retry_after_ms"] <= 20
    wire.now += 0.02
    assert wire.say(command(201)) is not None
    for _ in range(700):
        wire.say({"t": "pong", "n": 1})
    assert wire.closed == 4013


def test_an_unanswered_ping_closes_with_4012() -> None:
    wire = Wireless().opened()
    wire.pass_time(25)
    (ping,) = wire.heard()
    assert ping == {"t": "ping", "n": 1}
    wire.pass_time(7)
    assert wire.closed is None
    wire.pass_time(1)
    assert wire.closed == 4012


def test_only_the_right_pong_counts_and_pings_go_on() -> None:
    wire = Wireless().opened()
    wire.pass_time(25)
    wire.heard()
    wire.say({"t": "pong", "n": 9})
    wire.say({"t": "pong", "n": 1})
    wire.pass_time(25)
    assert wire.heard() == [{"t": "ping", "n": 2}]
    wire.say({"t": "pong", "n": 1})
    wire.pass_time(8)
    assert wire.closed == 4012


def test_an_expired_token_has_25_seconds_of_grace_then_closes_with_4003() -> None:
    wire = Wireless(ping_seconds=1_000.0).opened(ttl=60)
    wire.pass_time(60)
    assert wire.heard() == [{"t": "auth_required", "in_s": 25}]
    wire.pass_time(24)
    assert wire.closed is None
    wire.pass_time(1)
    assert wire.closed == 4003


def test_a_renewed_token_starts_over() -> None:
    wire = Wireless(ping_seconds=1_000.0).opened(ttl=60)
    wire.pass_time(61)
    wire.heard()
    wire.connection.renewed(60, wire.now)
    assert wire.heard() == [{"t": "auth_ok", "token_ttl": 60}]
    wire.pass_time(59)
    assert wire.heard() == []
    wire.pass_time(1)
    assert wire.heard() == [{"t": "auth_required", "in_s": 25}]


def test_at_most_128_channels() -> None:
    wire = Wireless(commands_burst=1_000.0).opened()
    for number in range(128):
        assert wire.say({"t": "subscribe", "id": number, "ch": f"cart/{number}"}) is not None
    assert wire.say({"t": "subscribe", "id": "x", "ch": "cart/128"}) is None
    (error,) = wire.heard()
    assert (error["ref"], error["code"]) == ("x", "too_many_channels")
    assert wire.say({"t": "subscribe", "id": "y", "ch": "cart/5"}) is not None


@pytest.mark.parametrize(
    "channel", ["cart", "cart/", "/1", "cart/a b", "room/1", "cart/1/2/3", "../etc/passwd", "cart/%2e"]
)
def test_channels_that_cannot_be_are_not_found(channel: str) -> None:
    wire = Wireless().opened()
    assert wire.say({"t": "subscribe", "id": 1, "ch": channel}) is None
    assert wire.heard()[0]["code"] == "not_found"


def test_the_tracking_endpoint_lets_only_its_order_through() -> None:
    wire = Wireless(scope=order_tracking(ORDER.removeprefix("order/"))).opened()
    for channel in (CART, "order/other", "merchant/1/orders"):
        assert wire.say({"t": "subscribe", "id": 1, "ch": channel}) is None
    assert wire.say({"t": "signal", "ent": CART, "name": "x"}) is None
    assert {frame["code"] for frame in wire.heard()} == {"not_found"}
    assert wire.say({"t": "subscribe", "id": 1, "ch": ORDER}) is not None


def test_a_consumer_that_does_not_read_is_closed_with_4008() -> None:
    wire = Wireless().opened()
    chunk = b"x" * 300_000
    for _ in range(4):
        wire.connection.push(chunk, wire.now)
    assert wire.closed == 4008
    assert not wire.connection.outbox
    late = Wireless().opened()
    late.connection.push(b"{}", late.now)
    late.pass_time(6)
    assert late.closed == 4008


class Odd(ServerFrame, tag="odd"):
    pass


def test_nothing_is_said_or_heard_after_closing() -> None:
    wire = Wireless().opened()
    wire.connection.shut(4001, "shutdown")
    wire.connection.shut(4008, "later")
    wire.connection.send(Odd(), wire.now)
    assert wire.say(command(1)) is None
    assert (wire.closed, wire.heard()) == (4001, [])
