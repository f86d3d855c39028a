"""Sockets opened by other sites, and frames made to hurt."""

from typing import Any

import msgspec
import pytest

from realtime.codec import JSON, MSGPACK, BadFrameError, Codec, UnknownFrameError
from realtime.limits import DEFAULTS
from serve.app import NOUNS, create_app
from serve.platform.browsers import Browsers, origins_of
from tests.serve.house import House

SHOP = "https://shop.example"
FOREIGN = (
    *(
        "https://evil.example",
        "null",
        "NULL",
        "file://",
        "https://",
        "//api.example",
        "about:blank",
        "data:text/html,x",
    ),
    *("https://api.example.evil.example", "https://evil-api.example", "https://api.example@evil.example"),
    *("https://api.example:8443", "https://api.example.", "https://api.example/x", "https://api.example\u0000.evil"),
    *("https://shop.example.", "https://shop.example:443", "http://shop.example", "https://shop.exampl\u0435"),
    *("https://xshop.example", "https://shop.example, https://evil.example", "chrome-extension://abcdefgh"),
)


async def opened(house: House, path: str, headers: list[tuple[bytes, bytes]]) -> int:
    """The close code. 1008: refused for its origin; 1013: let in, and the house of the tests has no sockets."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "headers": headers, "query_string": b"", "subprotocols": []}
    await create_app(NOUNS, house.gateway)(scope, receive, send)
    return int(next(message["code"] for message in sent if message["type"] == "websocket.close"))


@pytest.mark.parametrize("origin", FOREIGN)
async def test_no_page_of_another_site_opens_a_socket_in_a_visitors_name(house: House, origin: str) -> None:
    """Cross-site WebSocket hijacking."""
    house.gateway.browsers = Browsers(origins_of(SHOP))
    headers = [(b"host", b"api.example"), (b"origin", origin.encode()), (b"cookie", b"__Host-atrium_access=x")]
    for path in ("/api/v1/live", "/api/live", "/api/v1/treatments/provider-sync", "/api/v1/treatments/room-status"):
        assert await opened(house, path, headers) == 1008, path


async def test_our_own_page_and_a_named_one_and_a_tablet_do(house: House) -> None:
    house.gateway.browsers = Browsers(origins_of(SHOP))
    for origin in ([(b"origin", b"https://api.example")], [(b"origin", SHOP.encode())], []):
        assert await opened(house, "/api/v1/live", [(b"host", b"api.example"), *origin]) == 1013


def nested(codec: Codec, depth: int) -> str | bytes:
    """A subscription with so many lists in it; written by hand, because encoders refuse it too."""
    if codec is JSON:
        return '{"t":"cmd","seq":1,"ent":"cart/x","op":"add","args":' + "[" * depth + "]" * depth + "}"
    head = msgspec.msgpack.encode({"t": "cmd", "seq": 1, "ent": "cart/x", "op": "add"})
    return bytes([head[0] + 1]) + head[1:] + msgspec.msgpack.encode("args") + b"\x91" * depth + b"\xc0"


HURTING: dict[str, bytes] = {
    "an array of four billion": b"\xdd\xff\xff\xff\xff",
    "a map of four billion": b"\xdf\xff\xff\xff\xff",
    "bytes of four billion": b"\xc6\xff\xff\xff\xff",
    "an extension of four billion": b"\xc9\xff\xff\xff\xff\x01",
    "maps in keys": b"\x81" * 5_000,
    "lists in lists": b"\x91" * 60_000,
    "a list as a key": b"\x81\x90\x01",
    "two tags": b"\x82\xa1t\xa3cmd\xa1t\xa5hello",
    "a timestamp out of range": b"\x81\xa1t\xc7\x0c\xff" + b"\xff" * 12,
    "text that is no UTF-8": b"\x81\xa1t\xa2\xff\xfe",
    "nothing": b"",
    "half a frame": b"\x85\xa1t\xa3cmd",
}


@pytest.mark.parametrize("data", HURTING.values(), ids=HURTING)
def test_msgpack_made_to_hurt_is_refused(data: bytes) -> None:
    with pytest.raises((BadFrameError, UnknownFrameError)):
        MSGPACK.decode(data, DEFAULTS.frame_bytes_max)


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_nesting_is_refused_before_the_stack_ends(codec: Codec) -> None:
    for depth in (2_000, 10_000, 30_000):
        with pytest.raises((BadFrameError, UnknownFrameError)):
            codec.decode(nested(codec, depth), DEFAULTS.frame_bytes_max)


def test_a_frame_over_the_limit_is_refused_unread() -> None:
    for codec, data in ((JSON, " " * 100_000), (MSGPACK, b"\xc0" * 100_000)):
        with pytest.raises(BadFrameError, match="over"):
            codec.decode(data, DEFAULTS.frame_bytes_max)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "1" * 5_000, "-0", "0x10", "1_000", "01"])
def test_numbers_that_are_none_make_no_frame_that_runs(number: str) -> None:
    with pytest.raises((BadFrameError, UnknownFrameError)):
        JSON.decode(f'{{"t":"cmd","seq":{number},"ent":"cart/x","op":"add"}}', DEFAULTS.frame_bytes_max)
