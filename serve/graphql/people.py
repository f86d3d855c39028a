"""Oneself, and other people as far as one may know of them."""

import strawberry

from serve.graphql.clinics import Organization
from serve.graphql.connections import FIRST, Connection, connection, first_of
from serve.graphql.context import Context, Info, known_id, reads
from serve.graphql.derive import Long, Moment, Shown, described, shape, shows
from serve.graphql.links import organization_shown, person_shown, read_person, to_organization
from serve.platform.pages import id_of
from services.accounts.preferences import Channels as ChannelsRecord
from services.accounts.preferences import Notifications as NotificationsRecord
from services.accounts.preferences import Preferences as PreferencesRecord
from storage.organizations import OrganizationFilter

_PROFILE = ("id", "email", "name", "status", "locale", "time_zone", "version", "phone", "created_at", "verified_at")


async def read_profile(context: Context, user_id: str) -> Shown:
    shown = shape(await context.accounts.profiles.get(user_id), whole=True)
    return {name: shown[name] for name in _PROFILE if shown.get(name)}


async def read_preferences(context: Context, user_id: str) -> Shown:
    return shape(await context.accounts.personal.preferences(user_id), whole=True)


async def read_memberships(context: Context, user_id: str) -> Shown:
    held = await context.accounts.members.of_user(user_id, inactive=False)
    return {"items": [{"organization_id": each, "roles": list(roles)} for each, roles in held.items()]}


async def _profile(root: Shown, info: Info) -> Shown:
    """One's own; of people with an account."""
    return await info.context.load(read_profile, root["subject"])


async def _preferences(root: Shown, info: Info) -> Shown:
    """One's own; what was never chosen is as by default."""
    return await info.context.load(read_preferences, root["subject"])


async def _memberships(root: Shown, info: Info) -> list[Shown]:
    """Roles at organizations, also at those that the access token does not act for."""
    found: list[Shown] = (await info.context.load(read_memberships, root["subject"]))["items"]
    return found


async def _organizations(info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """Those that one acts for, by id; to the platform's admins all."""
    context, limit = info.context, first_of(info, first)
    wanted = OrganizationFilter()
    rows = await context.runtime.organizations.list(context.actor, wanted, id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([organization_shown(row) for row in shown], [row.id for row in shown], more=len(rows) > limit)


@described
class Membership:
    """Somebody's roles at an organization."""

    organization_id: strawberry.ID
    roles: list[str]
    organization = to_organization()


@described
class Profile:
    """What somebody says of themselves."""

    id: strawberry.ID
    email: str
    name: str
    status: str
    locale: str
    time_zone: str
    version: Long
    created_at: Moment
    verified_at: Moment | None
    phone: str | None


@shows(ChannelsRecord)
class Channels:
    """By which ways one subject may reach somebody."""


@shows(NotificationsRecord, Channels)
class Notifications:
    """What somebody wants to be told of, and how."""


@shows(PreferencesRecord, Notifications)
class Preferences:
    """How things look, in which units, and what one wants to be told."""


@described
class Me:
    """Who is asking: the roles and organizations of the access token, and for an API key its scopes."""

    subject: str
    roles: list[str]
    organization_ids: list[strawberry.ID]
    scopes: list[str] | None
    profile = reads("users", _profile, Profile)
    preferences = reads("users", _preferences, Preferences)
    memberships = reads("", _memberships, list[Membership])
    organizations = reads("organizations", _organizations, Connection[Organization])


@described
class Person:
    """Somebody. A colleague is a name and roles; how to reach them is for themselves and admins."""

    id: strawberry.ID
    name: str
    memberships: list[Membership]
    email: str | None
    phone: str | None
    status: str | None
    roles: list[str] | None
    created_at: Moment | None
    deleted_at: Moment | None


async def me(info: Info) -> Shown:
    """Who is asking."""
    actor, scopes = info.context.actor, info.context.call.verified.scopes
    shown: Shown = {"subject": actor.subject, "roles": list(actor.roles), "organization_ids": list(_acted_for(info))}
    return shown if scopes is None else {**shown, "scopes": sorted(scopes)}


async def person(info: Info, id: strawberry.ID) -> Shown:
    """Oneself, a colleague, a member of one's organization (its admins), anybody (the platform's). That is audited."""
    return await info.context.load(read_person, known_id(id))


async def people(info: Info, q: str, first: int = FIRST, after: str | None = None) -> Shown:
    """People of your organizations by the beginnings of their names, or an address. Who was shown is audited."""
    context, limit = info.context, first_of(info, first)
    found, last = await context.accounts.people.search(context.actor, q, id_of(after), limit, context.correlation)
    nodes = [person_shown(each) for each in found]
    return connection(nodes, [each.user.id for each in found], more=last is not None, end=last)


def _acted_for(info: Info) -> tuple[str, ...]:
    return info.context.call.verified.organizations
