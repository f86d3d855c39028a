"""The protocol's example frames are frames of the protocol."""

import json

import msgspec
import pytest

from realtime import frames
from realtime.codec import JSON
from realtime.frames import CLIENT_FRAMES, ServerFrame
from tests.docs.pages import blocks, section

SERVER_FRAMES = {
    one.__struct_config__.tag: one for one in ServerFrame.__subclasses__() if one.__module__ == frames.__name__
}


def examples(heading: str) -> list[str]:
    (block,) = blocks(section("docs/protocol.md", heading), "json")
    return block.splitlines()


@pytest.mark.parametrize("line", examples("## From the client"), ids=lambda line: json.loads(line)["t"])
def test_a_client_frame_is_understood_and_has_no_unknown_field(line: str) -> None:
    frame = JSON.decode(line, 64 * 1024)
    assert set(json.loads(line)) <= {"t", *frame.__struct_fields__}


@pytest.mark.parametrize("line", examples("## From the server"), ids=lambda line: json.loads(line)["t"])
def test_a_server_frame_has_the_fields_that_are_sent(line: str) -> None:
    example = json.loads(line)
    kind = SERVER_FRAMES[example["t"]]
    assert msgspec.json.decode(line, type=kind) is not None
    assert set(example) <= {"t", *kind.__struct_fields__}


def test_every_frame_has_an_example() -> None:
    assert {json.loads(line)["t"] for line in examples("## From the client")} == set(CLIENT_FRAMES)
    assert {json.loads(line)["t"] for line in examples("## From the server")} == set(SERVER_FRAMES)
    assert issubclass(frames.Welcome, ServerFrame)
