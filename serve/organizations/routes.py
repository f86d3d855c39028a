"""Organizations over HTTP."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.ids import derived_id, new_id
from serve.organizations import schemas
from serve.platform.answers import replayed, versioned
from serve.platform.call import Answer, Call, etag, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, looks_at_if_match, problems
from services.organizations import Organization
from storage.organizations import OrganizationFilter

router = api_router("/organizations", "organizations")

_UNKNOWN = "Unknown, or not yours."
_WRONG = "The request is not valid."


class _Shown(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    kind: str
    name: str
    currency: str
    status: str
    time_zone: str
    city: str = ""
    country: str = ""


@router.post(
    "",
    status_code=201,
    response_model=schemas.Organization,
    responses=problems(_404="Not an admin.", _409="Another organization has this id.", _422=_WRONG),
)
async def create_organization(call: Call, body: schemas.CreateOrganization) -> Answer:
    """Take an organization on (admins). With an `id` or an `Idempotency-Key`, a repeat gives the same one."""
    key = call.idempotency_key()
    organization = Organization(
        id=body.id or (new_id() if key is None else derived_id("organization", call.actor.subject, key)),
        kind=body.kind,
        name=body.name,
        currency=body.currency,
        city=body.city,
        country=body.country,
        time_zone=body.time_zone,
    )
    organization, repeated = await call.runtime.organizations.add(call.actor, organization)
    location = (b"location", f"{API_PREFIX}/organizations/{organization.id}".encode())
    headers = [location, (b"etag", etag(organization.version)), *replayed(repeated)]
    return json_answer(_shown(organization), HTTPStatus.CREATED, headers)


@router.get("", response_model=schemas.OrganizationPage, responses=problems(_422=_WRONG))
async def list_organizations(call: Call, query: Annotated[schemas.OrganizationList, Query()]) -> Answer:
    """Those that the caller acts for now; to the platform's admins all. By id."""
    wanted = OrganizationFilter(
        kind=query.kind or "", active=None if query.status is None else query.status == "active", text=query.q
    )
    after, limit = id_of(query.cursor), query.limit
    found = await call.runtime.organizations.list(call.actor, wanted, after, limit + 1)
    return page([_shown(one) for one in found[:limit]], found[limit - 1].id if len(found) > limit else None)


@router.get("/{organization_id}", response_model=schemas.Organization, responses=problems(_404=_UNKNOWN))
async def get_organization(call: Call, organization_id: Id) -> Answer:
    """For its own people, and for admins."""
    found = await call.runtime.organizations.get(call.actor, organization_id)
    return versioned(call, found.version, msgspec.json.encode(_shown(found)))


@router.put(
    "/{organization_id}",
    response_model=schemas.Organization,
    responses=problems(
        _403="Not its admin.",
        _404=_UNKNOWN,
        _409="Another kind or currency, and there are products, locations or fees.",
        _412="Changed meanwhile.",
        _422=_WRONG,
    ),
)
@looks_at_if_match
async def put_organization(call: Call, organization_id: Id, body: schemas.PutOrganization) -> Answer:
    """Its name, place and time zone, by its admins and the platform's."""
    return _answer(
        await call.runtime.organizations.change(
            call.actor,
            organization_id,
            body.model_dump(exclude_none=True),
            expected=call.expected_version(),
            correlation=call.correlation,
        )
    )


@router.post(
    "/{organization_id}/deactivate",
    response_model=schemas.Organization,
    responses=problems(_404="Unknown, or not the platform's admin.", _409="It is inactive.", _422=_WRONG),
)
async def deactivate_organization(call: Call, organization_id: Id, body: schemas.Reason) -> Answer:
    """Nobody acts for it from now on, by the platform's admins: tokens, keys and sockets lose it at once."""
    organizations = call.runtime.organizations
    return _answer(await organizations.deactivate(call.actor, organization_id, body.reason, call.correlation))


@router.post(
    "/{organization_id}/reactivate",
    response_model=schemas.Organization,
    responses=problems(_404="Unknown, or not the platform's admin.", _409="It is active.", _422=_WRONG),
)
async def reactivate_organization(call: Call, organization_id: Id, body: schemas.Reason) -> Answer:
    """As before it was deactivated, by the platform's admins."""
    organizations = call.runtime.organizations
    return _answer(await organizations.reactivate(call.actor, organization_id, body.reason, call.correlation))


def _answer(organization: Organization) -> Answer:
    return json_answer(_shown(organization), headers=[(b"etag", etag(organization.version))])


def _shown(organization: Organization) -> _Shown:
    fields = {name: getattr(organization, name) for name in _Shown.__struct_fields__}
    return _Shown(**fields)
