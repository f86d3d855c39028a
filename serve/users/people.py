"""People as others see them over HTTP. Who may what says `services/accounts/people.py`."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from actors.parties import is_oneself
from domain.times import to_rfc3339
from serve.auth.routes import accounts_of
from serve.platform.answers import versioned
from serve.platform.call import Answer, Call, etag, json_answer
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, looks_at_if_match, problems
from serve.users import schemas
from serve.users.shown import person_shown
from services.accounts.people import Found

router = api_router("/users", "users")

_UNKNOWN = "Unknown, or nobody that the caller may know of."


@router.get(
    "/search",
    response_model=schemas.PersonPage,
    responses=problems(_404="Not somebody of an organization.", _422="The request is not valid."),
)
async def search_people(call: Call, query: Annotated[schemas.SearchQuery, Query()]) -> Answer:
    """People of the caller's organizations, by id; to the platform's admins all. Who was shown is audited."""
    found, after = await accounts_of(call).people.search(
        call.actor, query.q, id_of(query.cursor), query.limit, call.correlation
    )
    return page([person_shown(each) for each in found], after)


@router.get("/{user_id}", response_model=schemas.Person, responses=problems(_404=_UNKNOWN))
async def get_person(call: Call, user_id: Id) -> Answer:
    """Oneself, a colleague (name and roles), a member of one's organization (its admins), anybody (the platform's)."""
    found = await accounts_of(call).people.get(call.actor, user_id, call.correlation)
    return versioned(call, found.user.version, msgspec.json.encode(person_shown(found)))


@router.put(
    "/{user_id}/role",
    response_model=schemas.Person,
    responses=problems(
        _403="One's own roles.",
        _404="Unknown, not a member, or not its admin.",
        _409="They are the last admin.",
        _412="Changed meanwhile.",
        _422="The request is not valid.",
    ),
)
@looks_at_if_match
async def put_roles(call: Call, user_id: Id, body: schemas.PutRoles) -> Answer:
    """Exactly these roles at an organization, by its admins. Access tokens of before have to be refreshed."""
    found = await accounts_of(call).people.set_roles(
        call.actor,
        user_id,
        body.organization_id or "",
        body.roles,
        expected=call.expected_version(),
        correlation=call.correlation,
    )
    return json_answer(person_shown(found), headers=[(b"etag", etag(found.user.version))])


@router.post(
    "/{user_id}/suspend",
    response_model=schemas.Person,
    responses=problems(
        _403="One's own account.", _404=_UNKNOWN, _409="Not from this state.", _422="The request is not valid."
    ),
)
async def suspend(call: Call, user_id: Id, body: schemas.Reason) -> Answer:
    """Shut somebody out at once, by the platform's admins: logins and tokens end."""
    user = await accounts_of(call).people.suspend(call.actor, user_id, body.reason, call.correlation)
    return json_answer(person_shown(Found(user, {}, whole=True)), headers=[(b"etag", etag(user.version))])


@router.post(
    "/{user_id}/reinstate",
    response_model=schemas.Person,
    responses=problems(_404=_UNKNOWN, _409="Not from this state.", _422="The request is not valid."),
)
async def reinstate(call: Call, user_id: Id, body: schemas.Reason) -> Answer:
    """Let somebody in again, by the platform's admins, who was suspended, or deleted and is not yet erased."""
    user = await accounts_of(call).people.reinstate(call.actor, user_id, body.reason, call.correlation)
    return json_answer(person_shown(Found(user, {}, whole=True)), headers=[(b"etag", etag(user.version))])


@router.delete(
    "/{user_id}",
    status_code=202,
    response_model=schemas.Deleted,
    responses=problems(
        _403="Not proved just now that it is oneself.", _404=_UNKNOWN, _409="The last admin, or deleted already."
    ),
)
async def delete_person(call: Call, user_id: Id) -> Answer:
    """One's own account, with an access token of a login just now; any, by the platform's admins.

    Logins and tokens end at once; after the grace the person is erased.
    """
    accounts = accounts_of(call)
    if is_oneself(call.actor, user_id):
        await accounts.step_up.check(call.verified)
    user = await accounts.people.delete(call.actor, user_id, call.correlation)
    until = to_rfc3339(accounts.people.erased_after_ms(user))
    return json_answer({"status": user.status.value, "erased_after": until}, HTTPStatus.ACCEPTED)
