"""Provider sessions: who works at which tablet, and what waits to be resolved there."""

import strawberry

from actors.session_state import SessionStatus as SessionStatusKind
from actors.session_views import OfferView, QuarantinedView, SessionView
from serve.graphql.connections import FIRST, connection, first_of
from serve.graphql.context import Info, computed, known_id
from serve.graphql.derive import Moment, Shown, described, enumerated, keyed, shape, shows
from serve.graphql.links import (
    read_session,
    to_document,
    to_location,
    to_person,
    to_room,
    to_session,
)
from serve.platform.pages import place_of
from services.listings import Place
from services.session_listings import ListedSession, SessionFilter

SessionStatus = enumerated(SessionStatusKind)


def _documents(root: Shown) -> list[Shown]:
    return [{"id": each, "since": since} for each, since in root.get("documents", {}).items()]


@shows(OfferView)
class HandOff:
    """An offer to take over what somebody is at."""

    id: strawberry.ID


@shows(QuarantinedView)
class QuarantinedCommand:
    """A command that waits to be resolved, without its content."""

    id: strawberry.ID


@described
class OpenDocument:
    """A document that is open at a tablet."""

    id: strawberry.ID
    since: Moment
    document = to_document()


@shows(SessionView)
class Session:
    """Who is where, at which device."""

    documents = computed(_documents, list[OpenDocument])
    hand_offs = computed(keyed("hand_offs", "id"), list[HandOff])
    quarantine = computed(keyed("quarantine", "id"), list[QuarantinedCommand])
    location = to_location()
    room = to_room()
    person = to_person("subject")


@shows(ListedSession, leave_out=("user_id", "created_at_ms"))
class SessionEntry:
    """A session as it is listed; `quarantined` is how many commands wait to be resolved."""

    subject: str
    since: Moment
    location = to_location()
    room = to_room()
    person = to_person("subject")
    session = to_session()


async def session(info: Info, id: strawberry.ID) -> Shown:
    """A session, for the people of its organization."""
    return await info.context.load(read_session, known_id(id))


async def sessions(
    info: Info,
    location_id: strawberry.ID | None = None,
    user_id: strawberry.ID | None = None,
    status: SessionStatus | None = None,  # type: ignore[valid-type]
    quarantined: bool = False,
    first: int = FIRST,
    after: str | None = None,
) -> Shown:
    """Sessions of your organizations, newest first."""
    wanted = SessionFilter(
        location_id="" if location_id is None else known_id(location_id),
        user_id=user_id or "",
        statuses=() if status is None else (str(status),),
        quarantined=quarantined,
    )
    return await sessions_of(info, wanted, first, after)


async def sessions_of(info: Info, wanted: SessionFilter, first: int, after: str | None) -> Shown:
    """A page of them."""
    limit = first_of(info, first)
    rows = await info.context.runtime.sessions.list(info.context.actor, wanted, place_of(after), limit + 1)
    shown = rows[:limit]
    places = [Place(row.created_at_ms, row.id) for row in shown]
    return connection([_listed(row) for row in shown], places, more=len(rows) > limit)


def _listed(row: ListedSession) -> Shown:
    shown = shape(row)
    return {**shown, "subject": shown.pop("user_id"), "since": shown.pop("created_at")}
