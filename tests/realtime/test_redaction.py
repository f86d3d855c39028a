from typing import Any

import msgspec
import pytest

from realtime.codec import JSON, MSGPACK, Codec
from realtime.frames import ChangeFrame, Entry, Ping, Snapshot
from realtime.redaction import redact

SHOWN = frozenset({"status", "version"})
WHOLE = {"status": "placed", "version": 3, "address": {"line1": "Hauptstraße 1"}, "user_id": "u1"}
CODECS = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.subprotocol)


def _seen(frame: bytes, codec: Codec) -> Any:
    return msgspec.json.decode(frame) if codec.text else msgspec.msgpack.decode(frame)


@CODECS
def test_states_and_patches_have_only_the_shown_fields_and_the_rest_of_the_frame_stays(codec: Codec) -> None:
    for content in ("state", "patch"):
        frame = ChangeFrame("order/1", "order/1", 3, "hlc")
        setattr(frame, content, codec.value(WHOLE))
        assert _seen(redact(codec.encode(frame), codec, SHOWN), codec) == {
            "t": "change",
            "ch": "order/1",
            "ent": "order/1",
            "ver": 3,
            "hlc": "hlc",
            content: {"status": "placed", "version": 3},
        }


@CODECS
def test_a_patch_of_hidden_fields_only_still_counts_as_a_version(codec: Codec) -> None:
    frame = ChangeFrame("order/1", "order/1", 4, "hlc", patch=codec.value({"address": None}))
    redacted = _seen(redact(codec.encode(frame), codec, SHOWN), codec)
    assert (redacted["ver"], redacted["patch"]) == (4, {})


@CODECS
def test_every_entity_of_a_snapshot_is_redacted(codec: Codec) -> None:
    entries = [Entry(f"order/{number}", 1, codec.value(WHOLE)) for number in range(2)]
    frame = Snapshot("order/1", 0, True, entries)
    redacted = _seen(redact(codec.encode(frame), codec, SHOWN), codec)
    assert [entry["state"] for entry in redacted["entities"]] == [{"status": "placed", "version": 3}] * 2


@CODECS
def test_other_frames_stay_as_they_are(codec: Codec) -> None:
    frame = codec.encode(Ping(n=1))
    assert redact(frame, codec, SHOWN) is frame
