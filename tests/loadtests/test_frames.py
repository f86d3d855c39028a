import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol

from loadtests.frames import (
    BINARY,
    FrameReader,
    Handshake,
    HandshakeRefusedError,
    ProtocolViolationError,
    close_code,
    encode_frame,
)

_SIZES = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536])


def _from_server(opcode, payload, fin=True):
    return Frame(Opcode(opcode), payload, fin).serialize(mask=False)


@given(_SIZES)
def test_a_server_reads_the_frames_we_write(size):
    server = Protocol(SERVER)
    server.receive_data(encode_frame(BINARY, b"x" * size))
    (frame,) = server.events_received()
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.BINARY, b"x" * size, True)


@given(st.lists(_SIZES, min_size=1, max_size=4), st.integers(1, 70_000))
def test_frames_are_found_however_the_stream_is_cut(sizes, cut):
    stream = b"".join(_from_server(BINARY, bytes([n]) * size) for n, size in enumerate(sizes))
    reader = FrameReader()
    found = [message for at in range(0, len(stream), cut) for message in reader.feed(stream[at : at + cut])]
    assert found == [(BINARY, bytes([n]) * size) for n, size in enumerate(sizes)]


def test_fragments_are_joined_and_a_ping_may_come_between():
    stream = _from_server(1, b"ab", fin=False) + _from_server(9, b"?") + _from_server(0, b"cd")
    assert list(FrameReader().feed(stream)) == [(9, b"?"), (1, b"abcd")]


@pytest.mark.parametrize("stream", [b"\x82\x80abcd", b"\xc2\x00", b"\x80\x00"])
def test_masked_extended_and_orphaned_frames_are_violations(stream):
    with pytest.raises(ProtocolViolationError):
        list(FrameReader().feed(stream))


def test_a_close_frame_without_a_code_reads_as_1005():
    assert close_code(b"") == 1005
    assert close_code(struct.pack("!H", 4008) + b"slow") == 4008


def test_a_refused_handshake_says_the_status():
    with pytest.raises(HandshakeRefusedError, match="403 Forbidden"):
        Handshake("h", "/", "atrium.v1.json", {}).feed(b"HTTP/1.1 403 Forbidden\r\n\r\n")


def test_an_answer_to_another_key_is_refused():
    answer = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
    with pytest.raises(HandshakeRefusedError):
        Handshake("h", "/", "atrium.v1.json", {}).feed(answer)


def test_an_unfinished_answer_is_awaited():
    assert Handshake("h", "/", "atrium.v1.json", {}).feed(b"HTTP/1.1 101") is None
