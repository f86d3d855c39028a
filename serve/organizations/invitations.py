"""Invitations over HTTP: made, listed and revoked by an organization's admins, accepted by whom they were mailed to."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.times import to_rfc3339
from serve.auth.routes import accounts_of
from serve.organizations import schemas
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, problems
from serve.platform.schemas import PageQuery
from storage.accounts.invitations import InvitationRecord

router = api_router("/organizations/{organization_id}/invitations", "organizations")
own = api_router("/invitations", "organizations")

_UNKNOWN = "Unknown, or not its admin."


class _Shown(msgspec.Struct, kw_only=True):
    id: str
    email: str
    roles: tuple[str, ...]
    locale: str
    status: str
    invited_by: str
    created_at: str
    expires_at: str


@router.post(
    "",
    status_code=201,
    response_model=schemas.Invitation,
    responses=problems(_404=_UNKNOWN, _409="The organization is inactive.", _422="The request is not valid."),
)
async def invite(call: Call, organization_id: Id, body: schemas.Invite) -> Answer:
    """Mail an invitation to this address; an earlier one to it is void. The answer is the same whether or not it has an
    account."""
    made = await accounts_of(call).invitations.invite(
        call.actor, organization_id, body.email, body.roles, body.locale or "", call.correlation
    )
    return json_answer(_shown(made, call), HTTPStatus.CREATED)


@router.get("", response_model=schemas.InvitationPage, responses=problems(_404=_UNKNOWN))
async def list_invitations(call: Call, organization_id: Id, query: Annotated[PageQuery, Query()]) -> Answer:
    """Those that nobody has accepted and nobody revoked."""
    after, limit = id_of(query.cursor), query.limit
    found = await accounts_of(call).invitations.list(call.actor, organization_id, after, limit + 1)
    return page([_shown(one, call) for one in found[:limit]], found[limit - 1].id if len(found) > limit else None)


@router.delete("/{invitation_id}", status_code=204, responses=problems(_404=_UNKNOWN))
async def revoke_invitation(call: Call, organization_id: Id, invitation_id: Id) -> Answer:
    """What was mailed is void."""
    await accounts_of(call).invitations.revoke(call.actor, organization_id, invitation_id, call.correlation)
    return Answer(status=HTTPStatus.NO_CONTENT)


@own.post(
    "/accept",
    response_model=schemas.Joined,
    responses=problems(
        _403="Sent to another address, made by oneself, or not a person with an account.",
        _422="The token was used, revoked, or has run out.",
    ),
)
async def accept_invitation(call: Call, body: schemas.AcceptInvitation) -> Answer:
    """Be a member, with the account whose address it was sent to. Who has none registers with `invitation`."""
    return json_answer(await accounts_of(call).invitations.accept(call.actor, body.token, call.correlation))


def _shown(invitation: InvitationRecord, call: Call) -> _Shown:
    held = invitation.expires_at_ms > call.runtime.clock.now_ms()
    return _Shown(
        id=invitation.id,
        email=invitation.email,
        roles=invitation.roles,
        locale=invitation.locale,
        status="open" if held else "expired",
        invited_by=invitation.invited_by,
        created_at=to_rfc3339(invitation.created_at_ms),
        expires_at=to_rfc3339(invitation.expires_at_ms),
    )
