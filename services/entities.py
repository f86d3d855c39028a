"""Live entities as use-cases need them: the part of the runtime's `EntityClient` used on this floor."""

from typing import Any, Protocol

import msgspec

from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON

CART = "cart"
ORDER = "order"
ROOM = "room"
SESSION = "session"
DOCUMENT = "document"


class Answered(Protocol):
    """The answer to one command or read. `view` is already encoded as it was asked for. `noop`: nothing was written."""

    @property
    def version(self) -> int: ...
    @property
    def duplicate(self) -> bool: ...
    @property
    def data(self) -> dict[str, Any] | None: ...
    @property
    def view(self) -> bytes: ...
    @property
    def noop(self) -> bool: ...


class Entities(Protocol):
    """Raises `domain.errors`: a refusal as it was decided, `Temporary` when it may be sent again."""

    async def ask(
        self,
        kind: str,
        id: str,
        command: Any,
        *,
        actor: Actor,
        command_id: bytes | None = None,
        body_hash: bytes | None = None,
        device: str = "",
        correlation: str = "",
        want: int = 0,
        expect: int = -1,
        hlc: str = "",
        hlc_raw: str = "",
        generation: int = 0,
    ) -> Answered: ...

    async def read(
        self,
        kind: str,
        id: str,
        *,
        actor: Actor,
        want: int = 1,
        correlation: str = "",
    ) -> Answered: ...


class Sender(msgspec.Struct, frozen=True):
    """Who sends a command, and how it is known again: see `EntityClient.ask`."""

    actor: Actor
    correlation: str = ""
    command_id: bytes | None = None
    body_hash: bytes | None = None
    expect: int = -1
    device: str = ""
    hlc: str = ""
    hlc_raw: str = ""
    generation: int = 0


async def send(entities: Entities, kind: str, id: str, sender: Sender, command: Any, want: int = VIEW_JSON) -> Answered:
    """Have an entity execute what `sender` sends."""
    return await entities.ask(
        kind,
        id,
        command,
        actor=sender.actor,
        command_id=sender.command_id,
        body_hash=sender.body_hash,
        device=sender.device,
        correlation=sender.correlation,
        want=want,
        expect=sender.expect,
        hlc=sender.hlc,
        hlc_raw=sender.hlc_raw,
        generation=sender.generation,
    )
