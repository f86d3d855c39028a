"""Second factors of those who ask in the walk."""

from typing import Any, Final

from pyotp import TOTP

from storage.accounts.factor_records import TotpRecord
from tests.serve.access.accounts import address_of
from tests.serve.access.people import PEOPLE, Person
from tests.serve.house import ALICE, House
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.people import PASSWORD

_SECRET: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


async def give_factors(house: House) -> None:
    """An authenticator app to everybody; its id is their own."""
    store, now = house.account_stores.factors, house.clock.now_ms()
    for person in PEOPLE:
        if person.subject:
            app = TotpRecord(id=person.subject, user_id=person.subject, name="Phone", secret=_SECRET, created_at_ms=now)
            assert await store.put_totp(app)
            await store.confirm_totp(app.id, 1, (), now)


async def asked(house: House) -> dict[str, str]:
    """What answers a login of Alice's that her password was not enough for."""
    body = {"email": address_of(ALICE), "password": PASSWORD}
    answer = await house.http.post("/api/v1/auth/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "mfa_required"), answer.text
    return {"challenge": answer.json()["challenge"], "code": TOTP(_SECRET).at(house.clock.now_ms() // 1_000)}


async def new_credential(house: House, person: Person) -> dict[str, Any]:
    """What a device of this person answers to their options."""
    if not person.subject:
        return {}
    options = await house.accounts.passkeys.registration_options(person.subject)
    return {"credential": Authenticator().create(options)}


async def used_credential(house: House) -> dict[str, Any]:
    """What a passkey of Alice's answers to anybody's options."""
    device = Authenticator()
    options = await house.accounts.passkeys.registration_options(ALICE)
    await house.accounts.passkeys.register(ALICE, device.create(options))
    return {"credential": device.get(await house.accounts.passkeys.login_options())}
