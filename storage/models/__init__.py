"""The tables. One file a subject; `Base.metadata` knows all of them once this package is imported."""

from storage.models.accounts import (
    Login,
    LoginFailure,
    LookupKeyRow,
    Membership,
    OneTimeToken,
    RefreshToken,
    User,
)
from storage.models.api_keys import ApiKey, RevocationRow, ServiceAccount
from storage.models.audit import AuditEvent, AuditHead
from storage.models.base import Base
from storage.models.catalog import Organization, Product
from storage.models.emergency_access import EmergencyAccess
from storage.models.factors import FactorChallenge, Passkey, RecoveryCode, TotpFactor
from storage.models.idempotency import IdempotencyKey
from storage.models.identities import Identity, OidcSpent
from storage.models.index import INDEX_TABLES, CartIndex, DocumentIndex, OrderIndex, RoomIndex, SessionIndex
from storage.models.invitations import Invitation
from storage.models.jobs import Job
from storage.models.keys import DataKeyRow
from storage.models.locations import Location, Room, VisitPlace
from storage.models.people import UserPosition, UserSearch
from storage.models.privacy import Erasure, LegalHold, PersonalExport, RetentionMark
from storage.models.reactions import DeadLetter, ReactionCursor, ReactionRetry
from storage.models.runtime import HostRow, JournalRow, ReminderRow, ShardMapRow, ShardRow, SnapshotRow

__all__ = [
    "INDEX_TABLES",
    "ApiKey",
    "AuditEvent",
    "AuditHead",
    "Base",
    "CartIndex",
    "DataKeyRow",
    "DeadLetter",
    "DocumentIndex",
    "EmergencyAccess",
    "Erasure",
    "FactorChallenge",
    "HostRow",
    "IdempotencyKey",
    "Identity",
    "Invitation",
    "Job",
    "JournalRow",
    "LegalHold",
    "Location",
    "Login",
    "LoginFailure",
    "LookupKeyRow",
    "Membership",
    "OidcSpent",
    "OneTimeToken",
    "OrderIndex",
    "Organization",
    "Passkey",
    "PersonalExport",
    "Product",
    "ReactionCursor",
    "ReactionRetry",
    "RecoveryCode",
    "RefreshToken",
    "ReminderRow",
    "RetentionMark",
    "RevocationRow",
    "Room",
    "RoomIndex",
    "ServiceAccount",
    "SessionIndex",
    "ShardMapRow",
    "ShardRow",
    "SnapshotRow",
    "TotpFactor",
    "User",
    "UserPosition",
    "UserSearch",
    "VisitPlace",
]
