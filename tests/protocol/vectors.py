"""The vectors as they stand in the files, strictly read: a misspelt key is an error."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from tests.protocol.names import bound, used

FOLDER: Final = Path(__file__).parent
Encoding = Literal["json", "msgpack"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("json", "msgpack")
Map = dict[str, Any]

WAITS: Final = "waits"
"""Needed by a vector in which time passes."""
STALLS: Final = "stalls"
"""Needed by a vector whose client stops reading."""
GIVEN: Final = "given"
"""Prefix of what a server must be able to be told: `given:drain`."""
EVERYWHERE: Final = frozenset({"done"})
"""What can be given to any server: somebody does something over a socket of their own."""


class Raw(msgspec.Struct, forbid_unknown_fields=True):
    """One WebSocket message that is not (meant to be) a frame."""

    text: Any = None
    base64: str | None = None


class Connect(msgspec.Struct, forbid_unknown_fields=True):
    """`endpoint` with its query, below `/api/v1`. `subprotocols` None: that of the encoding."""

    endpoint: str = "/live"
    subprotocols: list[str] | None = None
    bearer: str = ""
    accepted: str | None = None
    """The subprotocol that the server has to choose; "" for none."""


class Open(msgspec.Struct, forbid_unknown_fields=True):
    """Connect, say hello, expect a welcome. `hello` is merged into the hello, `welcome` is a pattern."""

    endpoint: str = "/live"
    token: str = "${token:alice}"
    hello: Map = {}
    welcome: Map = {}


class Repeat(msgspec.Struct, forbid_unknown_fields=True):
    """`steps` for `first`, `first + 1` … `last`; the number is the name `name`."""

    name: str
    first: int
    last: int
    steps: list[Map]


class ServerStep(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one field is there besides `on`, the connection's name."""

    on: str = "a"
    connect: Connect | None = None
    open: Open | None = None
    client: Map | None = None
    raw: Raw | None = None
    server: Map | None = None
    unordered: list[Map] | None = None
    silence: bool | None = None
    close: int | None = None
    hang_up: bool | None = None
    read: bool | None = None
    time: float | None = None
    given: Map | None = None
    repeat: Repeat | None = None


class ClientStep(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one field is there."""

    connect: Map | None = None
    client: Map | None = None
    unordered: list[Map] | None = None
    silence: bool | None = None
    server: Map | None = None
    close: int | None = None
    drop: bool | None = None
    do: Map | None = None
    expect: Map | None = None
    gone: bool | None = None
    repeat: Repeat | None = None


class _Vector(msgspec.Struct, forbid_unknown_fields=True):
    """`name` says what holds. `ignore`: types of frames that may come in between and do not matter here."""

    name: str
    encodings: tuple[Encoding, ...] = ENCODINGS
    ignore: list[str] = []


class ServerVector(_Vector, forbid_unknown_fields=True, kw_only=True):
    steps: list[ServerStep]

    def needs(self) -> set[str]:
        """What a server has to be for this one: names of its world, `waits`, and what it must be told."""
        maps = [msgspec.to_builtins(step) for step in flat(self.steps, ServerStep)]
        own = bound(maps) | {step.repeat.name for step in self.steps if step.repeat is not None}
        needed = {name for name in used(maps) if not name.startswith("id:")}
        needed |= {f"token:{step['given']['done']['by']}" for step in maps if "done" in step.get("given", ())}
        for step in maps:
            if "time" in step:
                needed.add(WAITS)
            for told in set(step.get("given", ())) - EVERYWHERE:
                needed.add(f"{GIVEN}:{told}")
                own.add(str(step["given"][told]))
            if step.get("read") is False:
                needed.add(STALLS)
        return needed - own


class ClientVector(_Vector, forbid_unknown_fields=True, kw_only=True):
    steps: list[ClientStep]


class _ServerFile(msgspec.Struct, forbid_unknown_fields=True):
    about: str
    vectors: list[ServerVector]


class _ClientFile(msgspec.Struct, forbid_unknown_fields=True):
    about: str
    vectors: list[ClientVector]


def server_vectors() -> dict[str, ServerVector]:
    """`file/name` → vector."""
    return _all("server", _ServerFile)


def client_vectors() -> dict[str, ClientVector]:
    return _all("client", _ClientFile)


def _all(folder: str, shape: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted((FOLDER / folder).glob("*.json")):
        for vector in msgspec.json.decode(path.read_bytes(), type=shape).vectors:
            name = f"{path.stem}/{vector.name}"
            if name in found:
                raise ValueError(f"there are two {name}")
            found[name] = vector
    return found


def what(step: Any) -> str:
    """The one thing that a step is about."""
    fields = [one for one in step.__struct_fields__ if one != "on" and getattr(step, one) is not None]
    if len(fields) != 1:
        raise ValueError(f"a step is about one thing: {fields}")
    return fields[0]


def flat(steps: list[Any], shape: Any) -> list[Any]:
    """All steps with what is in repeats, once each."""
    found: list[Any] = []
    for step in steps:
        if step.repeat is None:
            found.append(step)
        else:
            found += flat(msgspec.convert(step.repeat.steps, list[shape]), shape)
    return found


def unrolled(steps: list[Any], shape: Any, bind: Callable[[str, int], None]) -> Iterator[Any]:
    """All steps in turn; `bind` is told a repeat's number before its steps."""
    for step in steps:
        if step.repeat is None:
            yield step
            continue
        inner = msgspec.convert(step.repeat.steps, list[shape])
        for number in range(step.repeat.first, step.repeat.last + 1):
            bind(step.repeat.name, number)
            yield from unrolled(inner, shape, bind)
