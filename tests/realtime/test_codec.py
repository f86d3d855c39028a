import contextlib
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.codec import JSON, MSGPACK, BadFrameError, Codec, UnknownFrameError, negotiate
from realtime.commands import body_hash
from realtime.frames import Command, Hello, Pong

BYTES_MAX = 64 * 1024
HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=10,
)
TAGS = st.sampled_from(["hello", "subscribe", "unsubscribe", "command", "ack", "signal", "auth", "pong", "nonsense"])
FIELDS = st.sampled_from(
    ["v", "id", "ch", "have", "epoch", "seq", "ent", "op", "args", "token", "n", "subs", "device_id"]
)


def refused(codec: Codec, data: Any) -> Exception:
    with pytest.raises((BadFrameError, UnknownFrameError)) as caught:
        codec.decode(data, BYTES_MAX)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "3",
        '"hello"',
        "{}",
        '{"t":3}',
        '{"t":"pong"}',
        '{"t":"pong","n":"1"}',
        '{"t":"pong","n":-1}',
        '{"t":"pong","n":1.5}',
        '{"t":"ack","results_upto":1e999}',
        '{"t":"command","epoch":1,"seq":0,"ent":"a/b","op":"x"}',
        '{"t":"command","epoch":1,"seq":1,"ent":"","op":"x"}',
        '{"t":"command","epoch":1,"seq":1,"ent":"a/b","op":"x","args":[]}',
        '{"t":"hello","v":[1]}',
        '{"t":"subscribe","id":1,"ch":"a/b","mode":"all"}',
        '{"t":"auth","token":"\ud800"}',
        '{"t":"auth","token":"\\ud800"}',
        '{"t":"command","epoch":1,"seq":1,"ent":"a/b","op":"x","args":{"a":' + "[" * 20_000 + "]" * 20_000 + "}}",
    ],
)
def test_what_is_not_a_frame_is_refused(text: str) -> None:
    assert isinstance(refused(JSON, text), BadFrameError)


def test_an_oversized_frame_is_refused_by_its_bytes_not_its_characters() -> None:
    assert isinstance(refused(JSON, '{"t":"auth","token":"' + "a" * BYTES_MAX + '"}'), BadFrameError)
    wide = '{"t":"auth","token":"' + "é" * (BYTES_MAX // 2) + '"}'
    assert len(wide) < BYTES_MAX
    assert "over" in str(refused(JSON, wide))


def test_the_other_kind_of_websocket_frame_is_refused() -> None:
    assert isinstance(refused(JSON, b'{"t":"pong","n":1}'), BadFrameError)
    assert isinstance(refused(MSGPACK, '{"t":"pong","n":1}'), BadFrameError)


def test_an_unknown_type_is_told_apart_from_a_malformed_frame() -> None:
    error = refused(JSON, '{"t":"telepathy","ch":"a/b"}')
    assert isinstance(error, UnknownFrameError)
    assert error.tag == "telepathy"


def test_unknown_fields_are_ignored() -> None:
    assert JSON.decode('{"t":"pong","n":1,"later":[1]}', BYTES_MAX) == Pong(1)


def test_both_encodings_carry_the_same_hello() -> None:
    hello = {"t": "hello", "v": [1, 2], "token": "x", "subs": [{"ch": "cart/1", "have": {"cart/1": 4}}]}
    frames = [JSON.decode(json.dumps(hello), BYTES_MAX), MSGPACK.decode(msgpack.packb(hello), BYTES_MAX)]
    assert frames[0] == frames[1]
    assert isinstance(frames[0], Hello)
    assert frames[0].subs[0].have == {"cart/1": 4}


def test_the_body_hash_does_not_depend_on_encoding_or_order_of_keys() -> None:
    one = {
        "t": "command",
        "epoch": 1,
        "seq": 1,
        "ent": "cart/1",
        "op": "add",
        "args": {"a": 1, "b": {"c": [1, 2], "d": "é"}},
    }
    two = {**one, "args": {"b": {"d": "é", "c": [1, 2]}, "a": 1}}
    commands = [JSON.decode(json.dumps(one), BYTES_MAX), MSGPACK.decode(msgpack.packb(two), BYTES_MAX)]
    hashes = {body_hash(command) for command in commands if isinstance(command, Command)}
    assert len(hashes) == 1
    other = Command(1, 1, "cart/1", "add", {"a": 2})
    assert body_hash(other) not in hashes


@given(st.binary(max_size=200))
def test_random_bytes_never_do_worse_than_a_refusal(data: bytes) -> None:
    with contextlib.suppress(BadFrameError, UnknownFrameError):
        MSGPACK.decode(data, BYTES_MAX)


@given(st.text(max_size=200))
def test_random_text_never_does_worse_than_a_refusal(data: str) -> None:
    with contextlib.suppress(BadFrameError, UnknownFrameError):
        JSON.decode(data, BYTES_MAX)


@given(TAGS, st.dictionaries(FIELDS, HOSTILE, max_size=6), HOSTILE)
def test_hostile_fields_never_do_worse_than_a_refusal(tag: str, fields: dict[str, Any], args: Any) -> None:
    try:
        data = msgpack.packb({**fields, "t": tag})
        frame = MSGPACK.decode(data, BYTES_MAX)
    except (BadFrameError, UnknownFrameError, UnicodeEncodeError):
        return
    if isinstance(frame, Command):
        with contextlib.suppress(BadFrameError):
            body_hash(frame)


@given(HOSTILE)
def test_arguments_that_json_cannot_hold_are_refused_not_crashed_on(args: Any) -> None:
    with contextlib.suppress(BadFrameError):
        assert len(body_hash(Command(1, 1, "cart/1", "add", {"a": args}))) == 16


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], JSON),
        (["atrium.v1.json"], JSON),
        (["atrium.v1.msgpack", "atrium.v1.json"], MSGPACK),
        (["atrium.v9.json", "atrium.v1.msgpack"], MSGPACK),
        (["atrium.v9.json"], None),
    ],
)
def test_the_first_common_subprotocol_is_taken(offered: list[str], chosen: Codec | None) -> None:
    assert negotiate(offered) is chosen
