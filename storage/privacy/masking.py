"""Pseudonyms for a copy that leaves production: the same for the same value, and not to be turned back without the key.

What a column becomes goes by its type and name, and the safe way by default: numbers, times and flags stay; ids become
other ids; bytes go; text that is not known to be harmless becomes a pseudonym. So a column that somebody adds is masked
until it is put among `PLAIN`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.times import to_rfc3339
from storage.times import to_ms

LEFT_OUT: Final = frozenset(
    {
        *("data_keys", "lookup_keys", "alembic_version", "hosts", "shards", "shard_map", "snapshots", "audit_head"),
        *("refresh_tokens", "one_time_tokens", "login_failures", "user_search", "user_positions", "personal_exports"),
        *("totp_factors", "passkeys", "recovery_codes", "factor_challenges", "api_keys", "identities", "oidc_spent"),
        "invitations",
        *("revocations", "idempotency_keys", "reaction_cursors", "reaction_retries", "retention_marks", "legal_holds"),
    }
)
"""Tables that a copy has no use for: keys, secrets, caches, the state of processes."""

PLAIN: Final = frozenset(
    {
        *("status", "kind", "role", "roles", "locale", "time_zone", "currency", "country", "template", "access", "day"),
        *("action", "outcome", "categories", "reaction", "opens", "closes", "type", "step", "purpose", "unit", "amr"),
        *("revoked_for", "fulfilment", "payment_method", "to", "from", "whose"),
    }
)
"""Columns, and fields of documents, that hold words of this program only."""

PEOPLE: Final = frozenset({"users"})
"""Tables whose `name` is a person's."""

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_IDS: Final = re.compile(rf"(guest:|share:)?{_UUID.pattern}")
"""An id and nothing else. A prefix that nobody chose: anything else beside an id may be what somebody wrote."""
_GIVEN: Final = ("Alba", "Bela", "Cato", "Dana", "Ezra", "Finn", "Gaia", "Hugo", "Iris", "Jona", "Kim", "Luca", "Mila")
_FAMILY: Final = ("Ash", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Pine", "Rowan")


class Masker:
    """Whoever has `key` can tell which pseudonym a value has; nobody else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def row(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of a table as it may be shown. NULL stays out."""
        masked = {name: self.value(name, value) for name, value in row.items() if value is not None}
        masked = {name: value for name, value in masked.items() if value is not None}
        if table in PEOPLE:
            masked |= {"email": self.email(str(row["id"])), "name": self.name(str(row["id"]))}
        return masked

    def value(self, name: str, value: Any) -> Any:
        """None: it is left out."""
        if isinstance(value, bool) or value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, float):
            return None if name in {"lat", "lon"} else value
        if isinstance(value, datetime):
            return to_rfc3339(to_ms(value))
        if isinstance(value, UUID):
            return self.text(str(value))
        if isinstance(value, str):
            return value if name in PLAIN or not value else self.text(value)
        if isinstance(value, dict):
            return self.document(value)
        if isinstance(value, list | tuple):
            return [found for each in value if (found := self.value(name, each)) is not None]
        return None  # bytes, and what nobody has thought of

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Fields by their names; a map by ids has pseudonyms for keys."""
        return {
            self.text(key) if _UUID.fullmatch(key) else key: found
            for key, value in document.items()
            if (found := self.value(key, value)) is not None
        }

    def text(self, text: str) -> str:
        """Ids, also with a prefix (`guest:…`), become other ids; all else a word that says nothing."""
        if _IDS.fullmatch(text):
            return _UUID.sub(lambda found: self.id(found.group()), text)
        return f"masked-{self._mark('text', text)[:10]}"

    def id(self, value: str) -> str:
        raw = bytearray(self._digest("id", value)[:16])
        raw[6] = (raw[6] & 0x0F) | 0x80  # version 8: the bits are ours
        raw[8] = (raw[8] & 0x3F) | 0x80
        return str(UUID(bytes=bytes(raw)))

    def email(self, value: str) -> str:
        return f"user-{self._mark('email', value)[:12]}@example.invalid"

    def name(self, value: str) -> str:
        digest = self._digest("name", value)
        return f"{_GIVEN[digest[0] % len(_GIVEN)]} {_FAMILY[digest[1] % len(_FAMILY)]}"

    def _mark(self, purpose: str, value: str) -> str:
        return self._digest(purpose, value).hex()

    def _digest(self, purpose: str, value: str) -> bytes:
        return hmac.new(self._key, f"{purpose}/{value}".encode(), hashlib.sha256).digest()
