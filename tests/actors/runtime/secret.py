"""A small sensitive kind: what was noted about somebody. The counter's other half for tests of the runtime."""

from typing import Any, ClassVar

import msgspec

from actors.runtime.entity import Actor, Context, Decision, EntityKind, Meta


class Note(msgspec.Struct, tag="note"):
    text: str


class Noted(msgspec.Struct, tag="noted"):
    text: str


class Notes(msgspec.Struct):
    texts: list[str] = []


class SecretKind(EntityKind[Notes]):
    name: ClassVar[str] = "secret"
    sensitive: ClassVar[bool] = True
    commands: ClassVar[tuple[type, ...]] = (Note,)
    events: ClassVar[tuple[type, ...]] = (Noted,)
    state: ClassVar[type] = Notes

    def decide(self, state: Notes | None, command: Any, ctx: Context) -> Decision:
        return Decision((Noted(command.text),), {"noted": command.text})

    def apply(self, state: Notes | None, event: Any, meta: Meta) -> Notes:
        state = state or Notes()
        state.texts.append(event.text)
        return state

    def view(self, state: Notes, signals: dict[str, Any], version: int) -> Any:
        return {"texts": list(state.texts), "version": version}

    def may_read(self, state: Notes, actor: Actor) -> bool:
        return True


SECRETS: dict[str, EntityKind[Any]] = {"secret": SecretKind()}
