"""Memberships over HTTP: who has which role at an organization."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.errors import invalid_field
from serve.auth.routes import accounts_of
from serve.organizations import schemas
from serve.platform.answers import replayed
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, problems
from serve.platform.schemas import PageQuery
from services.accounts.members import Member

router = api_router("/organizations", "organizations")


class _Member(msgspec.Struct):
    user_id: str
    name: str
    email: str
    roles: tuple[str, ...]


@router.get(
    "/{organization_id}/members",
    response_model=schemas.MemberPage,
    responses=problems(_404="Unknown, or not its admin."),
)
async def list_members(call: Call, organization_id: Id, query: Annotated[PageQuery, Query()]) -> Answer:
    """Who has a role here, for its admins."""
    found = await accounts_of(call).members.list(call.actor, organization_id, id_of(query.cursor), query.limit + 1)
    items = [_shown(member) for member in found[: query.limit]]
    return page(items, items[-1].user_id if len(found) > query.limit else None)


@router.post(
    "/{organization_id}/members",
    status_code=201,
    response_model=schemas.Member,
    responses=problems(
        _404="Unknown, or not its admin; `user_unknown`: nobody with an account.", _422="The request is not valid."
    ),
)
async def add_member(call: Call, organization_id: Id, body: schemas.AddMember) -> Answer:
    """Give somebody with an account a role here, by their address; by their id only the platform's admins, or to who
    is a member already. A repeat changes nothing."""
    if (body.email is None) == (body.user_id is None):
        raise invalid_field("user_id", "not_allowed", "Give either `email` or `user_id`.")
    member, repeated = await accounts_of(call).members.add(
        call.actor,
        organization_id,
        body.role,
        user_id=body.user_id or "",
        email=body.email or "",
        correlation=call.correlation,
    )
    return json_answer(_shown(member), HTTPStatus.CREATED, replayed(repeated))


@router.delete(
    "/{organization_id}/members/{user_id}",
    status_code=204,
    responses=problems(_404="No such member, or not its admin.", _409="They are the last admin."),
)
async def remove_member(
    call: Call, organization_id: Id, user_id: Id, query: Annotated[schemas.RoleQuery, Query()]
) -> Answer:
    """Take one role from somebody, or all. Their access tokens are outdated at once: they refresh them."""
    await accounts_of(call).members.remove(
        call.actor, organization_id, user_id, query.role or "", correlation=call.correlation
    )
    return Answer(status=HTTPStatus.NO_CONTENT)


def _shown(member: Member) -> _Member:
    return _Member(member.user.id, member.user.name, member.user.email, member.roles)
