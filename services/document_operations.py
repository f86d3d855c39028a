"""A document's operations as devices send them: a name and plain arguments, over a socket."""

from typing import Any, Final, get_args

import msgspec

from actors.document_commands import Command, Cosign, Create, Sign
from actors.runtime.codec import CommandCodec
from actors.runtime.entity import EntityKind
from actors.runtime.wire import VIEW_NONE
from domain.errors import Invalid, invalid_field
from services.documents import Documents
from services.entities import Answered, Sender

_pack = msgspec.msgpack.Encoder().encode

OPERATIONS: Final = frozenset(str(shape.__struct_config__.tag) for shape in get_args(Command))
_VERSIONED: Final = frozenset(
    str(shape.__struct_config__.tag) for shape in get_args(Command) if "base_version" in shape.__struct_fields__
)
_SERVICES_OWN: Final = frozenset({"type", "authenticated_ms"})
"""What no device says."""


class DocumentOperations:
    def __init__(self, documents: Documents, kind: EntityKind[Any]) -> None:
        self._documents = documents
        self._codec: CommandCodec[Any] = CommandCodec(kind)

    async def execute(
        self, sender: Sender, document_id: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        """Have the document do `op`. `sign` and `cosign` take `proof`, which goes no further.

        `base_fver` is the version of the register that the device saw. Raises `AtriumError`.
        """
        if op not in OPERATIONS:
            raise Invalid("A document has no such operation.", code="unknown_operation")
        fields = {name: value for name, value in args.items() if name not in _SERVICES_OWN}
        proof = fields.pop("proof", "") if op in {"sign", "cosign"} else ""
        if not isinstance(proof, str):
            raise invalid_field("proof", "invalid", "Must be an access token.")
        if base_fver is not None and op in _VERSIONED:
            fields["base_version"] = base_fver
        command = self._codec.command(_pack({**fields, "type": op}))
        if isinstance(command, Create):
            return await self._documents.create(sender, document_id, command, VIEW_NONE)
        if isinstance(command, Sign | Cosign):
            return await self._documents.sign(sender, document_id, command, proof, VIEW_NONE)
        return await self._documents.execute(sender, document_id, command, VIEW_NONE)
