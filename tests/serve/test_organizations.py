"""Organizations over HTTP: taken on by admins, seen by their own people; a clinic has locations and products."""

from domain.ids import new_id
from tests.serve.clinic import CLINIC
from tests.serve.house import House


async def create(house: House, body: dict, headers: dict[str, str] | None = None, **more: str):
    headers = {**(headers or house.bearer(new_id(), "admin")), **more}
    return await house.http.post("/api/v1/organizations", json=body, headers=headers)


async def test_a_clinic_is_made_under_an_id_of_its_own_and_the_same_again_is_no_error(house: House) -> None:
    body = {"id": new_id(), "name": "Skin Studio", "kind": "clinic", "currency": "CHF", "time_zone": "Europe/Zurich"}
    made, again = await create(house, body), await create(house, body)
    assert (made.status_code, made.json()) == (201, body | {"status": "active"})
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (201, made.json(), "true")
    other = await create(house, {**body, "kind": "merchant"})
    assert (other.status_code, other.json()["code"]) == (409, "organization_exists")
    assert made.headers["location"] == f"/api/v1/organizations/{body['id']}"


async def test_an_organization_is_shown_whole_when_it_is_made_and_after(house: House) -> None:
    admin, body = house.bearer(new_id(), "admin"), {"id": new_id(), "name": "Skin", "kind": "clinic", "currency": "CHF"}
    made = await create(house, body, admin)
    read = await house.http.get(f"/api/v1/organizations/{body['id']}", headers=admin)
    assert made.json() == read.json() == {**body, "status": "active", "time_zone": "UTC"}


async def test_a_repeat_with_the_same_key_makes_one_organization(house: House) -> None:
    admin, key = house.bearer(new_id(), "admin"), {"Idempotency-Key": "k-1"}
    body = {"name": "Skin Studio", "kind": "clinic"}
    first, again = await create(house, body, admin, **key), await create(house, body, admin, **key)
    assert (first.json(), first.json()["currency"]) == (again.json(), "EUR")


async def test_only_admins_make_organizations_and_only_their_people_see_them(house: House) -> None:
    body = {"id": new_id(), "name": "Skin Studio", "kind": "clinic"}
    assert (await create(house, body, house.bearer(new_id(), "provider", orgs=(body["id"],)))).status_code == 404
    assert (await create(house, body)).status_code == 201
    path = f"/api/v1/organizations/{body['id']}"
    own = await house.http.get(path, headers=house.bearer(new_id(), "front_desk", orgs=(body["id"],)))
    assert (own.status_code, own.json()["name"]) == (200, "Skin Studio")
    assert (await house.http.get(path, headers=house.bearer())).status_code == 404
    admin = house.bearer(new_id(), "admin")
    assert (await house.http.get(f"/api/v1/organizations/{new_id()}", headers=admin)).status_code == 404


async def test_what_an_organization_cannot_be_is_refused_with_its_field(house: House) -> None:
    for change, path in (
        ({"kind": "bank"}, "kind"),
        ({"name": " "}, "name"),
        ({"name": "a\u0007b"}, "name"),
        ({"currency": "XXX1"}, "currency"),
        ({"currency": "ABC"}, "currency"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"id": "mine"}, "id"),
        ({"country": "Germany"}, "country"),
        ({"admin": True}, "admin"),
    ):
        answer = await create(house, {"name": "Skin Studio", "kind": "clinic", **change})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), change


async def test_a_clinics_admin_puts_its_products_into_the_catalog(house: House) -> None:
    admin = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    body = {"merchant_id": CLINIC, "name": "Toxin", "sku": "T-1", "price": {"amount": 1_200, "currency": "EUR"}}
    made = await house.http.post("/api/v1/products", json=body, headers=admin)
    assert made.status_code == 201, made.text
    wrong = {**body, "price": {"amount": 1_200, "currency": "USD"}}
    refused = await house.http.post("/api/v1/products", json=wrong, headers=admin)
    assert refused.json()["errors"][0]["code"] == "currency_mismatch"
    unknown = await house.http.post("/api/v1/products", json={**body, "merchant_id": new_id()}, headers=admin)
    assert unknown.status_code == 404
