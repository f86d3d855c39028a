"""Where invitations are kept. Each method is one transaction; all raise `Unavailable` when the database is away."""

from collections.abc import Sequence
from typing import Protocol

from storage.accounts.invitations import InvitationRecord, Joined
from storage.accounts.records import UserRecord


class InvitationStore(Protocol):
    """One can be taken up that was neither accepted nor revoked, has not run out, and is to an active organization."""

    async def add(
        self, invitation: InvitationRecord, hashed: bytes, *, since_ms: int, count_max: int, same_max: int
    ) -> bool:
        """In the place of an earlier one to the same address, which is revoked with it.

        False, and nothing written, when the organization has made `count_max` since `since_ms`, or `same_max` to this
        address. Raises `NotFound`, `Conflict` (`organization_state`) for one that is inactive.
        """

    async def invitations(self, organization_id: str, after: str, limit: int) -> Sequence[InvitationRecord]:
        """Neither accepted nor revoked, by id; those that have run out too."""

    async def revoke(self, organization_id: str, invitation_id: str, now_ms: int) -> InvitationRecord | None:
        """None: there is none there, or it was accepted or revoked before."""

    async def by_hash(self, hashed: bytes, now_ms: int) -> InvitationRecord | None:
        """One that can be taken up."""

    async def accept(self, hashed: bytes, user_id: str, now_ms: int) -> Joined | None:
        """Use it up for its roles, besides those they have. None, and nothing written, when it cannot be taken up (any
        more), or the person is not active with the address that it was sent to."""

    async def register(self, hashed: bytes, user: UserRecord, now_ms: int) -> Joined | None:
        """As `accept`, with a new account as `user` says; one that is pending with the address becomes that, and keeps
        its id. None, and nothing written, when the address has any other account, or is not that of the invitation."""
