"""A login at another provider for those who ask in the walk."""

from storage.accounts.identities import IdentityRecord
from tests.serve.house import ALICE, House
from tests.services.oidc.scripted import ISSUER
from tests.services.oidc.scripted import SETTINGS as PROVIDER

VERIFIER = "v" * 43
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"


async def begun(house: House) -> dict[str, str]:
    """What the provider sends back with the browser, which `house.http` is: it keeps the cookie."""
    answer = await house.http.get(f"/api/v1/auth/oidc/{PROVIDER.name}/start?challenge={CHALLENGE}")
    assert answer.has_redirect_location, answer.text
    return house.provider.authorize(answer.headers["location"], email="new@example.test", email_verified=True)


async def code(house: House) -> dict[str, str]:
    """Ours, with its verifier."""
    answer = await house.http.get(f"/api/v1/auth/oidc/{PROVIDER.name}/callback", params=await begun(house))
    assert answer.is_success, answer.text
    return {"code": answer.json()["code"], "verifier": VERIFIER}


async def linked(house: House) -> str:
    """The id of an identity of Alice's."""
    await house.identities.add(
        IdentityRecord(
            id=ALICE,
            user_id=ALICE,
            provider=PROVIDER.name,
            issuer=ISSUER,
            subject="alice",
            linked_at_ms=house.clock.now_ms(),
        ),
        10,
    )
    return ALICE
