"""What every table holds of a person: what an export shows of it, and what an erasure does to it (rule P1).

A table with a column that names a person and no entry here fails a test (`tests/storage/test_personal_registry.py`).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec


class Fate(StrEnum):
    """What an erasure does with the rows."""

    DELETED = "deleted"
    ANONYMIZED = "anonymized"
    """Overwritten, or forgotten by the entity and its journal; what is left leads to nobody."""
    KEPT = "kept"


class Ground(StrEnum):
    """Why something is kept."""

    NONE = ""
    ACCOUNTS = "accounts"
    """Commercial and tax law: GDPR Art. 17(3)(b)."""
    MEDICAL_RECORD = "medical_record"
    """The law of medical records: GDPR Art. 17(3)(b) and (c)."""
    EVIDENCE = "evidence"
    """Accountability and claims: GDPR Art. 17(3)(b) and (e)."""
    PSEUDONYMOUS = "pseudonymous"
    """An id only, which leads to nobody once the account is erased."""
    ORDER_OPEN = "order_open"
    """It is being carried out: erased once it is closed."""


class Personal(msgspec.Struct, frozen=True, kw_only=True):
    """What one noun holds of a person in one table.

    `condition`: SQL that finds their rows, `:person` is their id. `columns`: those that name people, found by or not.
    `opened`: sealed columns and how their content is encoded (`text`, `msgpack`). `hidden`: never shown. `kind`: the
    rows are of live entities, whose views are shown. `exported` False: said elsewhere.
    """

    noun: str
    table: str
    what: str
    columns: tuple[str, ...]
    condition: str
    fate: Fate
    ground: Ground = Ground.NONE
    opened: Mapping[str, str] = {}
    hidden: tuple[str, ...] = ()
    kind: str = ""
    exported: bool = True


def _own(
    noun: str,
    table: str,
    what: str,
    *,
    columns: tuple[str, ...] = ("user_id",),
    opened: Mapping[str, str] = MappingProxyType({}),
    hidden: tuple[str, ...] = (),
    exported: bool = True,
) -> Personal:
    """Rows that are there for this person only: deleted with them."""
    return Personal(
        noun=noun,
        table=table,
        what=what,
        columns=columns,
        condition="user_id = :person",
        fate=Fate.DELETED,
        opened=opened,
        hidden=hidden,
        exported=exported,
    )


ACCOUNT: Final = Personal(
    noun="account",
    table="users",
    what="Address, name, telephone number, language, preferences.",
    columns=("id", "email", "email_hash", "profile"),
    condition="id = :person",
    opened={"email": "text", "profile": "msgpack"},
    hidden=("email_hash", "password_hash"),
    fate=Fate.ANONYMIZED,
)

LOGINS: Final = (
    Personal(
        noun="refresh_tokens",
        table="refresh_tokens",
        what="When each login was renewed.",
        columns=(),
        condition="login_id IN (SELECT id FROM logins WHERE user_id = :person)",
        hidden=("hash", "successor"),
        fate=Fate.DELETED,
    ),
    _own("logins", "logins", "Devices that were logged in, and when."),
    _own("mailed_tokens", "one_time_tokens", "Messages with a code.", hidden=("hash", "payload")),
    Personal(
        noun="login_attempts",
        table="login_failures",
        what="Attempts to log in since the last success.",
        columns=("email_hash",),
        condition="email_hash = (SELECT email_hash FROM users WHERE id = :person)",
        hidden=("email_hash",),
        fate=Fate.DELETED,
    ),
    _own("authenticator_apps", "totp_factors", "Second factors, without their secrets.", hidden=("secret",)),
    _own("passkeys", "passkeys", "Passkeys.", hidden=("credential_id", "public_key")),
    _own("recovery_codes", "recovery_codes", "When recovery codes were made and used.", hidden=("hash",)),
    _own("factor_challenges", "factor_challenges", "Questions that a factor was to answer.", hidden=("hash",)),
    _own("identities", "identities", "Logins at other providers.", columns=("user_id", "subject")),
    Personal(
        noun="api_keys",
        table="api_keys",
        what="Keys of programs, without their secrets.",
        columns=("owner_id", "created_by"),
        condition="owner_kind = 'person' AND owner_id = :person",
        hidden=("hash",),
        fate=Fate.DELETED,
    ),
)

PEOPLE: Final = (
    _own("memberships", "memberships", "Roles at organizations."),
    Personal(
        noun="invitations",
        table="invitations",
        what="Invitations to organizations, sent to their address.",
        columns=("email", "email_hash", "accepted_by"),
        condition="(accepted_by = :person OR email_hash = (SELECT email_hash FROM users WHERE id = :person))",
        opened={"email": "text"},
        hidden=("email_hash", "hash", "invited_by"),
        fate=Fate.DELETED,
    ),
    Personal(
        noun="invitations_sent",
        table="invitations",
        what="When they invited others. Whom is those others'.",
        columns=("invited_by",),
        condition="invited_by = :person",
        hidden=("email", "email_hash", "hash", "accepted_by"),
        fate=Fate.KEPT,
        ground=Ground.PSEUDONYMOUS,
    ),
    _own("search_words", "user_search", "What the name is found by.", exported=False),
    _own("position", "user_positions", "Roughly where they said they are.", opened={"position": "msgpack"}),
    Personal(
        noun="service_accounts",
        table="service_accounts",
        what="Machines of organizations that they set up.",
        columns=("created_by",),
        condition="created_by = :person",
        fate=Fate.KEPT,
        ground=Ground.PSEUDONYMOUS,
    ),
)

SHOPPING: Final = (
    Personal(
        noun="carts",
        table="carts",
        what="Carts and what is in them.",
        columns=("owner",),
        condition="owner = :person",
        kind="cart",
        fate=Fate.ANONYMIZED,
    ),
    Personal(
        noun="orders",
        table="orders",
        what="Orders: lines, money, address, course of events.",
        columns=("user_id",),
        condition="user_id = :person",
        kind="order",
        fate=Fate.ANONYMIZED,
        ground=Ground.ACCOUNTS,
    ),
    Personal(
        noun="deliveries",
        table="orders",
        what="Orders they delivered, and where they were.",
        columns=("courier_id",),
        condition="courier_id = :person",
        fate=Fate.ANONYMIZED,
        ground=Ground.ACCOUNTS,
    ),
)

CLINIC: Final = (
    Personal(
        noun="medical_records",
        table="documents",
        what="Treatment documents of which they are the patient, whole.",
        columns=("patient_id",),
        condition="patient_id = :person",
        kind="document",
        fate=Fate.KEPT,
        ground=Ground.MEDICAL_RECORD,
    ),
    Personal(
        noun="documents_written",
        table="documents",
        what="Which documents they wrote or signed. The content is the patients'.",
        columns=("author", "signer", "cosigner", "participants"),
        condition="(author = :person OR signer = :person OR cosigner = :person OR participants ? :person)",
        hidden=("patient_id", "participants"),
        fate=Fate.KEPT,
        ground=Ground.MEDICAL_RECORD,
    ),
    Personal(
        noun="provider_sessions",
        table="provider_sessions",
        what="Their work at tablets.",
        columns=("user_id", "patient_id"),
        condition="user_id = :person",
        hidden=("patient_id",),
        fate=Fate.KEPT,
        ground=Ground.EVIDENCE,
    ),
    Personal(
        noun="rooms",
        table="room_status",
        what="Rooms they are in or have claimed.",
        columns=("claimed_by", "patient_id"),
        condition="(claimed_by = :person OR patient_id = :person)",
        hidden=("patient_id",),
        fate=Fate.KEPT,
        ground=Ground.PSEUDONYMOUS,
    ),
    Personal(
        noun="emergency_access",
        table="emergency_access",
        what="Emergency access by them, or to their documents.",
        columns=("subject", "patient_id", "revoked_by", "reviewed_by"),
        condition="(subject = :person OR patient_id = :person)",
        hidden=("patient_id", "reason", "note"),
        fate=Fate.KEPT,
        ground=Ground.EVIDENCE,
    ),
)

OPERATIONS: Final = (
    Personal(
        noun="audit",
        table="audit_events",
        what="What they did, and what was done with what is theirs.",
        columns=("actor", "patient_id"),
        condition="(actor = :person OR patient_id = :person OR (kind = 'user' AND object_id = :person))",
        hidden=("patient_id", "hash", "changes"),
        fate=Fate.KEPT,
        ground=Ground.EVIDENCE,
    ),
    Personal(
        noun="jobs",
        table="jobs",
        what="Exports and other jobs that they started or that are about them.",
        columns=("owner", "person"),
        condition="(owner = :person OR person = :person)",
        hidden=("checkpoint", "params", "result", "holder"),
        fate=Fate.KEPT,
        ground=Ground.PSEUDONYMOUS,
    ),
    _own("exports", "personal_exports", "Exports like this one.", hidden=("file_key",)),
    Personal(
        noun="erasures",
        table="erasures",
        what="That they were erased.",
        columns=("user_id", "asked_by"),
        condition="user_id = :person",
        fate=Fate.KEPT,
        ground=Ground.EVIDENCE,
    ),
    Personal(
        noun="legal_holds",
        table="legal_holds",
        what="That something of theirs must be kept.",
        columns=("user_id", "placed_by"),
        condition="user_id = :person",
        hidden=("reason", "placed_by"),
        fate=Fate.KEPT,
        ground=Ground.EVIDENCE,
    ),
    Personal(
        noun="journal",
        table="journal",
        what="Who did each thing: shown with the thing.",
        columns=("actor",),
        condition="actor = :person",
        exported=False,
        fate=Fate.KEPT,
        ground=Ground.PSEUDONYMOUS,
    ),
)

REGISTRY: Final[tuple[Personal, ...]] = (*LOGINS, *PEOPLE, *SHOPPING, *CLINIC, *OPERATIONS, ACCOUNT)
"""In the order in which an erasure goes: the account last, for others are found by it."""

BY_NOUN: Final = {entry.noun: entry for entry in REGISTRY}

assert len(BY_NOUN) == len(REGISTRY)  # noqa: S101 - a noun names one file of an export
