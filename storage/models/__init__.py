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
from storage.models.audit import AuditEvent, AuditHead
from storage.models.base import Base
from storage.models.catalog import Organization, Product
from storage.models.index import INDEX_TABLES, CartIndex, DocumentIndex, OrderIndex, RoomIndex, SessionIndex
from storage.models.jobs import Job
from storage.models.keys import DataKeyRow
from storage.models.locations import Location, Room, VisitPlace
from storage.models.people import UserPosition, UserSearch
from storage.models.privacy import Erasure, LegalHold, PersonalExport, RetentionMark
from storage.models.reactions import DeadLetter, ReactionCursor, ReactionRetry
from storage.models.runtime import HostRow, JournalRow, ReminderRow, ShardMapRow, ShardRow, SnapshotRow

__all__ = [
    "INDEX_TABLES",
    "AuditEvent",
    "AuditHead",
    "Base",
    "CartIndex",
    "DataKeyRow",
    "DeadLetter",
    "DocumentIndex",
    "Erasure",
    "HostRow",
    "Job",
    "JournalRow",
    "LegalHold",
    "Location",
    "Login",
    "LoginFailure",
    "LookupKeyRow",
    "Membership",
    "OneTimeToken",
    "OrderIndex",
    "Organization",
    "PersonalExport",
    "Product",
    "ReactionCursor",
    "ReactionRetry",
    "RefreshToken",
    "ReminderRow",
    "RetentionMark",
    "Room",
    "RoomIndex",
    "SessionIndex",
    "ShardMapRow",
    "ShardRow",
    "SnapshotRow",
    "User",
    "UserPosition",
    "UserSearch",
    "VisitPlace",
]
