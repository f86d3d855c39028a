"""The vectors themselves: well-formed, and nothing of the protocol is left out."""

from typing import Any

import msgspec
import pytest

from realtime import codes
from realtime.frames import CLIENT_FRAMES, ServerFrame
from tests.protocol.inprocess import PEOPLE, TOLD
from tests.protocol.vectors import (
    EVERYWHERE,
    GIVEN,
    STALLS,
    WAITS,
    ClientStep,
    ServerStep,
    client_vectors,
    flat,
    server_vectors,
    what,
)

SERVER = {name: flat(vector.steps, ServerStep) for name, vector in server_vectors().items()}
CLIENT = {name: flat(vector.steps, ClientStep) for name, vector in client_vectors().items()}
SERVER_FRAMES = {str(kind.__struct_config__.tag) for kind in ServerFrame.__subclasses__()} - {"odd"}
CLOSE_CODES = {
    value
    for name, value in vars(codes).items()
    if name.isupper() and isinstance(value, int) and name not in {"STOP_FROM", "STOP_TO"}
}


def types(steps: list[Any], *verbs: str) -> set[str]:
    found = {step.client["t"] for step in steps if "client" in verbs and step.client is not None}
    found |= {step.server["t"] for step in steps if "server" in verbs and step.server is not None}
    found |= {one["t"] for step in steps if "unordered" in verbs and step.unordered for one in step.unordered}
    return found | ({"hello"} if any(getattr(step, "open", None) for step in steps) else set())


@pytest.mark.parametrize("name", [*SERVER, *CLIENT])
def test_each_step_is_about_one_thing(name: str) -> None:
    for step in [*SERVER.get(name, ()), *CLIENT.get(name, ())]:
        assert what(step)


def test_every_frame_of_a_client_is_sent_to_the_server_and_expected_of_a_client_but_those_it_may_leave_out() -> None:
    sent = set().union(*(types(steps, "client") for steps in SERVER.values()))
    expected = set().union(*(types(steps, "client", "unordered") for steps in CLIENT.values()))
    assert set(CLIENT_FRAMES) <= sent
    assert set(CLIENT_FRAMES) - {"ack", "presence"} <= expected


def test_every_frame_of_a_server_is_expected_of_the_server_and_said_to_a_client() -> None:
    expected = set().union(*(types(steps, "server", "unordered") for steps in SERVER.values())) | {"welcome"}
    said = set().union(*(types(steps, "server") for steps in CLIENT.values()))
    assert expected >= SERVER_FRAMES
    assert said >= SERVER_FRAMES


def test_every_close_code_is_sent_by_the_server_and_understood_by_a_client() -> None:
    assert {step.close for steps in SERVER.values() for step in steps if step.close} == CLOSE_CODES
    assert {step.close for steps in CLIENT.values() for step in steps if step.close} >= CLOSE_CODES


def test_what_the_vectors_need_is_what_there_is() -> None:
    needed = set().union(*(vector.needs() for vector in server_vectors().values()))
    told = {f"{GIVEN}:{one}" for one in TOLD}
    people = {f"{what}:{name}" for name in PEOPLE for what in ("token", "subject")}
    unknown = {name for name in needed - told if name.rpartition(":")[0] not in people and name not in people}
    assert unknown <= {WAITS, STALLS, "clinic", "location", "merchant", "product", "subprotocol", "share:order"}
    assert {name.partition(":")[2] for name in needed & told} == set(TOLD)
    assert "done" in EVERYWHERE


def test_a_misspelt_key_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"cleint": {}}, ServerStep)
    with pytest.raises(ValueError, match="one thing"):
        what(msgspec.convert({"client": {"t": "x"}, "close": 1}, ClientStep))
