"""Commands in quarantine: looked at, sent again or given up by people. Nothing is ever dropped by itself."""

from typing import Any, Final, Protocol

import msgspec

from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON
from actors.session_commands import Resolve, ShowQuarantined
from domain.errors import Internal, Invalid, NotFound
from domain.hlc import restamped, stamp
from domain.ids import derived_command_id, device_command_id
from domain.times import from_rfc3339
from services.audit import READ, Audit
from services.entities import SESSION, Answered, Entities, Sender, send

COMMAND_SCHEMA: Final = 1
"""The version of devices' operations and arguments that this release understands."""


class Execute(Protocol):
    """Has an entity do what a device wanted: see `realtime.ports.CommandPort.execute`."""

    async def __call__(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered: ...


class Quarantine:
    def __init__(self, entities: Entities, execute: Execute, audit: Audit) -> None:
        self._entities = entities
        self._execute = execute
        self._audit = audit

    async def show(self, actor: Actor, session_id: str, item_id: str, correlation: str = "") -> dict[str, Any]:
        """The whole command and why it was refused, for those who may resolve it. Audited before it is shown."""
        item = await self._item(actor, session_id, item_id, correlation)
        await self._audit.note(
            actor,
            READ,
            "quarantine",
            item_id,
            organization_id=item["organizations"][0],
            device=item["device"],
            correlation=correlation,
        )
        return {name: value for name, value in item.items() if name not in {"hash", "organizations"}}

    async def resolve(self, sender: Sender, session_id: str, item_id: str, action: str, reason: str) -> Answered:
        """`discard` gives the command up; `retry` sends it again in the sender's name.

        A retry that is refused raises the refusal, and the item stays. Replies `{item_id, action, outcome}`;
        `outcome` of a retry is `applied`, `conflict` (both values are kept now) or `duplicate` (it had been executed).
        """
        if action == "discard":
            command = Resolve(item_id=item_id, action="discard", reason=reason)
            return await send(self._entities, SESSION, session_id, sender, command)
        if action != "retry":
            raise Invalid("Retry or discard.", code="unknown_operation")
        try:
            item = await self._item(sender.actor, session_id, item_id, sender.correlation, sender.expect)
        except NotFound:
            if sender.command_id is None:
                raise
            outcome = ""  # it may be this very request that has resolved it: the session knows the command's id
        else:
            outcome = await self._retried(sender, session_id, item)
        sender = msgspec.structs.replace(sender, expect=-1)  # it was as expected before the command ran
        return await self._resolved(sender, session_id, item_id, reason, outcome)

    async def _item(
        self, actor: Actor, session_id: str, item_id: str, correlation: str, expect: int = -1
    ) -> dict[str, Any]:
        shown = ShowQuarantined(item_id=item_id)
        answer = await self._entities.ask(
            SESSION, session_id, shown, actor=actor, correlation=correlation, expect=expect
        )
        if answer.data is None:
            raise Internal("A session answers this with a reply.")
        return answer.data

    async def _retried(self, sender: Sender, session_id: str, item: dict[str, Any]) -> str:
        """What came of it. The first try is under the command's own id: had it been executed after all (its result
        was lost in a crash, say), it is not executed again."""
        if item["command"].get("schema", COMMAND_SCHEMA) != COMMAND_SCHEMA:
            raise Invalid("This release does not understand the command.", code="schema_unsupported")
        if item["hash"]:
            own = device_command_id(item["by"], item["device"], item["epoch"], item["seq"])
            try:
                return _outcome(await self._send(sender, item, own, item["hash"]))
            except Invalid as error:
                if error.failure.code != "idempotency_key_reused":
                    raise
        retry = derived_command_id("retry", session_id, item["id"])
        return _outcome(await self._send(sender, item, retry, retry))

    async def _send(self, sender: Sender, item: dict[str, Any], command_id: bytes, body_hash: bytes) -> Answered:
        command = item["command"]
        came_ms = from_rfc3339(item["at"])  # without a time of the device it counts as of then, not as made just now
        hlc = command.get("hlc", "")
        accepted, raw = restamped(hlc, came_ms) if hlc else ("", "")
        again = Sender(
            sender.actor,
            sender.correlation,
            command_id,
            body_hash,
            device=item["device"],
            hlc=accepted or stamp(came_ms),
            hlc_raw=raw,
        )
        return await self._execute(again, command["ent"], command["op"], command["args"], command.get("base_fver"))

    async def _resolved(self, sender: Sender, session_id: str, item_id: str, reason: str, outcome: str) -> Answered:
        command = Resolve(item_id=item_id, action="retry", reason=reason, outcome=outcome)
        try:
            return await send(self._entities, SESSION, session_id, sender, command)
        except NotFound:
            if not outcome:
                raise
            # Somebody else has resolved it meanwhile; the command itself was executed once all the same.
            return await self._entities.read(
                SESSION, session_id, actor=sender.actor, want=VIEW_JSON, correlation=sender.correlation
            )


def _outcome(answer: Answered) -> str:
    if answer.duplicate:
        return "duplicate"
    return "conflict" if "conflict_id" in (answer.data or {}) else "applied"
