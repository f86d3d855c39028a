"""Commands as devices send them over a socket: an operation's name and its arguments, as plain maps.

What an entity may be told as it is (`actors.kinds.DEVICE_OPERATIONS`) is decoded by the kind's own codec;
what needs the catalog goes the way of the HTTP routes. Everything else is `unknown_operation`.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import structlog

from actors.kinds import CLINICAL_OPERATIONS, DEVICE_OPERATIONS
from actors.order_commands import ReportPosition
from actors.runtime.codec import CommandCodec
from actors.runtime.entity import Actor, EntityKind
from actors.runtime.wire import VIEW_NONE
from domain.errors import FieldError, Forbidden, Invalid, NotFound, invalid_field
from domain.ids import is_uuid
from domain.text import check_id
from services.audit import Audit
from services.carts import Carts
from services.catalog import Catalog
from services.entities import CART, DOCUMENT, ORDER, ROOM, SESSION, Answered, Entities, Sender, send
from services.rooms import Rooms

_pack = msgspec.msgpack.Encoder().encode
POSITION: Final = "position"
log = structlog.get_logger()


class _Create(msgspec.Struct):
    merchant_id: str = ""
    currency: str = ""


class _AddLine(msgspec.Struct):
    """Options are ids of the product's options."""

    product_id: str
    quantity: int = 1
    options: list[str] = []
    instructions: str = ""


class _UpdateLine(msgspec.Struct):
    line_id: str
    quantity: int | None = None
    options: list[str] | None = None
    instructions: str | None = None


class DocumentCommands(Protocol):
    """What a device does to treatment documents, with what the edge must resolve (`services.documents`)."""

    async def execute(
        self, sender: Sender, document_id: str, op: str, args: dict[str, Any], base_fver: int | None
    ) -> Answered: ...


class QuarantineCommands(Protocol):
    """What people decide about quarantined commands (`services.sessions`)."""

    async def resolve(self, sender: Sender, session_id: str, item_id: str, action: str, reason: str) -> Answered: ...


class _Resolve(msgspec.Struct):
    item_id: str
    action: str
    reason: str


class DeviceCommands:
    """The real-time room's way to entities (its `CommandPort`)."""

    def __init__(
        self,
        entities: Entities,
        carts: Carts,
        catalog: Catalog,
        kinds: Mapping[str, EntityKind[Any]],
        documents: DocumentCommands,
        quarantine: QuarantineCommands,
        rooms: Rooms,
        audit: Audit,
    ) -> None:
        self._entities = entities
        self._carts = carts
        self._catalog = catalog
        self._documents = documents
        self._quarantine = quarantine
        self._rooms = rooms
        self._audit = audit
        self._codecs = {name: CommandCodec(kind) for name, kind in kinds.items()}

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        """Have `ent` (`kind/id`) do `op` exactly once per `sender.command_id`. Raises `AtriumError`."""
        kind, entity_id = self._target(ent)
        _check_plain(args)
        if kind == CART and op in RESOLVED:
            return await self._resolved(sender, entity_id, op, args)
        if kind == DOCUMENT:
            return await self._documents.execute(sender, entity_id, op, args, base_fver)
        if kind == SESSION and op == "resolve":
            asked = _read(_Resolve, args)
            return await self._quarantine.resolve(sender, entity_id, asked.item_id, asked.action, asked.reason)
        if op not in DEVICE_OPERATIONS.get(kind, ()):
            raise Invalid("A device cannot do this.", code="unknown_operation")
        fields = dict(args)
        if op == "set_quantity" and base_fver is not None:
            fields["base_version"] = base_fver
        command = self._codecs[kind].command(_pack({**fields, "type": op}))
        try:
            return await send(self._entities, kind, entity_id, sender, command, VIEW_NONE)
        except NotFound:
            if kind != ROOM:
                raise
            # A tablet knows rooms from its board: one that is not its clinic's is a breach, not a typing error.
            subject, correlation = sender.actor.subject, sender.correlation
            log.warning("room_command_refused", subject=subject, ent=ent, op=op, correlation=correlation)
            await self._refused(sender, op, entity_id)
            raise Forbidden("Not a room of yours.") from None

    async def _refused(self, sender: Sender, op: str, room_id: str) -> None:
        """Into the trail of the clinic that has the room; what exists nowhere is in nobody's."""
        organization_id = await self._rooms.organization_of(room_id)
        if organization_id:
            await self._audit.note(
                sender.actor,
                op,
                ROOM,
                room_id,
                organization_id=organization_id,
                outcome=Forbidden.code,
                device=sender.device,
                correlation=sender.correlation,
            )

    def clinical(self, ent: str, op: str) -> bool:
        """Whether a refused command carries clinical facts that must not get lost; of documents, also unknown ones."""
        kind = ent.partition("/")[0]
        if kind == DOCUMENT and op not in DEVICE_OPERATIONS.get(DOCUMENT, ()):
            return op not in _LIFECYCLE
        return op in CLINICAL_OPERATIONS.get(kind, ())

    async def signal(self, actor: Actor, ent: str, name: str, args: dict[str, Any], device: str) -> None:
        """A courier's position. Raises `Invalid` with `unknown_signal` for any other name."""
        kind, entity_id = self._target(ent)
        if kind != ORDER or name != POSITION:
            raise Invalid("There is no such signal.", code="unknown_signal")
        _check_plain(args)
        position = _read(ReportPosition, args)
        await self._entities.ask(ORDER, entity_id, position, actor=actor, device=device)

    def _target(self, ent: str) -> tuple[str, str]:
        kind, _, entity_id = ent.partition("/")
        if kind not in self._codecs or not is_uuid(entity_id):
            raise NotFound("There is no such entity.")
        return kind, entity_id.lower()

    async def _resolved(self, sender: Sender, cart_id: str, op: str, args: dict[str, Any]) -> Answered:
        if op == "create":
            create = _read(_Create, args)
            currency = create.currency
            if create.merchant_id:
                currency = (await self._catalog.merchant(check_id(create.merchant_id, "merchant_id"))).currency
            return await self._carts.create(sender, cart_id, currency, create.merchant_id)
        if op == "add_line":
            add = _read(_AddLine, args)
            product_id = check_id(add.product_id, "product_id")
            return await self._carts.add_item(sender, cart_id, product_id, add.quantity, add.options, add.instructions)
        change = _read(_UpdateLine, args)
        return await self._carts.set_item(
            sender, cart_id, change.line_id, change.quantity, change.options, change.instructions
        )


_LIFECYCLE: Final = frozenset({"sign", "cosign"})
"""Of a document, what its service resolves and what holds nothing that could get lost."""

RESOLVED: Final = frozenset({"create", "add_line", "update_line"})
"""A cart's operations that take facts of the catalog."""


def _check_plain(args: dict[str, Any]) -> None:
    """JSON knows numbers that no command can hold."""
    try:
        _pack(args)
    except (OverflowError, TypeError, ValueError, RecursionError) as error:
        raise invalid_field("$", "out_of_range", "A number is too large, or the nesting too deep.") from error


def _read(shape: type[Any], args: dict[str, Any]) -> Any:
    try:
        return msgspec.convert({name: value for name, value in args.items() if name != "type"}, shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        field = path.strip("`").removeprefix("$.") or "$"
        raise Invalid(message, errors=[FieldError(field, "invalid", message)]) from None
