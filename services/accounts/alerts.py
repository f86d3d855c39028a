"""Mail to the admins of an organization, when something must not wait until they look."""

from typing import Final

import structlog

from domain.roles import Role
from services.accounts.store import AccountStores
from services.background import Background
from services.mail.post import Post
from storage.accounts.records import UserStatus

PEOPLE_PER_PAGE: Final = 100
_log = structlog.get_logger("services.accounts.alerts")


class AdminAlerts:
    def __init__(self, stores: AccountStores, post: Post, background: Background) -> None:
        self._stores = stores
        self._post = post
        self._background = background

    async def emergency_access(self, organization_id: str) -> None:
        """Mail it to all of them, beside the request."""
        self._start("emergency_access", organization_id)

    def service_key(self, organization_id: str) -> None:
        """Likewise: there is a new key of one of its service accounts."""
        self._start("service_key_added", organization_id)

    def _start(self, message: str, organization_id: str) -> None:
        self._background.start("admins_told", self._tell(message, organization_id))

    async def _tell(self, message: str, organization_id: str) -> None:
        told, after = 0, ""
        while True:
            found = await self._stores.members.members(organization_id, after, PEOPLE_PER_PAGE)
            admins = [each.user_id for each in found if each.role == Role.ADMIN]
            for user in (await self._stores.users.users(admins)).values():
                if user.status is UserStatus.ACTIVE:
                    self._post.send(message, user.email, user.locale)
                    told += 1
            people = {each.user_id for each in found}
            if len(people) < PEOPLE_PER_PAGE:
                break
            after = max(people)
        if not told:
            _log.error("no_admin_to_tell", message=message, organization=organization_id)
