"""Organizations over HTTP."""

from http import HTTPStatus

from domain.ids import derived_id, new_id
from serve.organizations import schemas
from serve.platform.answers import replayed
from serve.platform.call import Answer, Call, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.routing import Id, api_router, problems
from services.organizations import Organization

router = api_router("/organizations", "organizations")


@router.post(
    "",
    status_code=201,
    response_model=schemas.Organization,
    responses=problems(
        _404="Not an admin.", _409="Another organization has this id.", _422="The request is not valid."
    ),
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
    return json_answer(organization, HTTPStatus.CREATED, [location, *replayed(repeated)])


@router.get(
    "/{organization_id}", response_model=schemas.Organization, responses=problems(_404="Unknown, or not yours.")
)
async def get_organization(call: Call, organization_id: Id) -> Answer:
    """For its own people, and for admins."""
    return json_answer(await call.runtime.organizations.get(call.actor, organization_id))
