"""The document's status machine: one table of who may move it from where to where, and by which operation.

draft ⇄ ready → signed | pending_cosign → cosigned. What is signed is never unlocked: it gets addenda (amended), or one
is demanded (addendum_required) by a rejected co-signature or a late entry. entered_in_error ends all of it.
"""

from enum import StrEnum
from typing import Final

import msgspec

from actors.parties import Party


class DocumentStatus(StrEnum):
    DRAFT = "draft"
    READY = "ready"
    SIGNED = "signed"
    PENDING_COSIGN = "pending_cosign"
    COSIGNED = "cosigned"
    ADDENDUM_REQUIRED = "addendum_required"
    AMENDED = "amended"
    ENTERED_IN_ERROR = "entered_in_error"


class Cause(StrEnum):
    """What leads from one status to another: an operation, or an edit or a late entry of any kind."""

    SET_STATUS = "set_status"
    EDIT = "edit"
    SIGN = "sign"
    COSIGN = "cosign"
    REJECT_COSIGN = "reject_cosign"
    ADD_ADDENDUM = "add_addendum"
    LATE_ENTRY = "late_entry"
    ENTER_IN_ERROR = "enter_in_error"


class Transition(msgspec.Struct, frozen=True):
    """Who may make it and by what."""

    parties: frozenset[Party]
    causes: frozenset[Cause]


_S = DocumentStatus
_PROVIDER, _ADMIN, _SYSTEM = Party.PROVIDER, Party.ADMIN, Party.SYSTEM


def _by(*causes: Cause, parties: tuple[Party, ...] = (_PROVIDER,)) -> Transition:
    return Transition(frozenset(parties), frozenset(causes))


TRANSITIONS: Final[dict[tuple[DocumentStatus, DocumentStatus], Transition]] = {
    (_S.DRAFT, _S.READY): _by(Cause.SET_STATUS),
    (_S.READY, _S.DRAFT): _by(Cause.SET_STATUS, Cause.EDIT),
    (_S.READY, _S.SIGNED): _by(Cause.SIGN),
    (_S.READY, _S.PENDING_COSIGN): _by(Cause.SIGN),
    (_S.PENDING_COSIGN, _S.COSIGNED): _by(Cause.COSIGN),
    (_S.PENDING_COSIGN, _S.ADDENDUM_REQUIRED): _by(Cause.REJECT_COSIGN),
    (_S.ADDENDUM_REQUIRED, _S.PENDING_COSIGN): _by(Cause.ADD_ADDENDUM),
    (_S.ADDENDUM_REQUIRED, _S.AMENDED): _by(Cause.ADD_ADDENDUM),
    (_S.SIGNED, _S.AMENDED): _by(Cause.ADD_ADDENDUM),
    (_S.COSIGNED, _S.AMENDED): _by(Cause.ADD_ADDENDUM),
    (_S.SIGNED, _S.ADDENDUM_REQUIRED): _by(Cause.LATE_ENTRY),
    (_S.COSIGNED, _S.ADDENDUM_REQUIRED): _by(Cause.LATE_ENTRY),
    (_S.AMENDED, _S.ADDENDUM_REQUIRED): _by(Cause.LATE_ENTRY),
    **{
        (status, _S.ENTERED_IN_ERROR): _by(Cause.ENTER_IN_ERROR, parties=(_PROVIDER, _ADMIN))
        for status in _S
        if status is not _S.ENTERED_IN_ERROR
    },
}

WRITABLE: Final = frozenset((_S.DRAFT, _S.READY))
"""The content can still change. In every other status it is frozen."""
OPEN: Final = WRITABLE | {_S.PENDING_COSIGN, _S.ADDENDUM_REQUIRED}
"""Somebody has still to do something."""


def after_addendum(status: DocumentStatus, *, needs_cosign: bool) -> DocumentStatus:
    """An addendum that was required goes to the co-signer, if there has to be one."""
    if status is DocumentStatus.ADDENDUM_REQUIRED and needs_cosign:
        return DocumentStatus.PENDING_COSIGN
    return DocumentStatus.PENDING_COSIGN if status is DocumentStatus.PENDING_COSIGN else DocumentStatus.AMENDED


def after_late_entry(status: DocumentStatus) -> DocumentStatus:
    """What was finished is not any more; the co-signer who has yet to sign sees the entry anyway."""
    step = TRANSITIONS.get((status, DocumentStatus.ADDENDUM_REQUIRED))
    return DocumentStatus.ADDENDUM_REQUIRED if step and Cause.LATE_ENTRY in step.causes else status


SEES: Final = frozenset((_PROVIDER, _ADMIN, _SYSTEM))
"""Who sees documents of their organization: not the front desk."""
