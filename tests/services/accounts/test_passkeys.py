"""Passkeys: registering and logging in by a software authenticator, and everything that must be refused."""

import asyncio
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, Unauthenticated
from domain.ids import new_id
from services.accounts.relying_party import RelyingParty, relying_party_of
from storage.settings import Settings
from tests.services.accounts.authenticator import PRESENT, Authenticator, coded
from tests.services.accounts.factors import ADA, add_app, add_passkey, answer, asked, with_app, with_passkey
from tests.services.accounts.people import PASSWORD

BOB = "bob@example.test"


async def proved(people, device, **changes):
    options = await people.accounts.passkeys.login_options()
    return await people.accounts.passkeys.prove(device.get(options, **changes))


async def refused(people, credential, code="passkey_refused"):
    with pytest.raises(Unauthenticated, match=code):
        await people.accounts.passkeys.prove(credential)


@pytest.mark.parametrize("counts", [True, False])
async def test_a_passkey_proves_who_it_is_without_a_name_or_a_password(people, counts):
    user_id, device = await with_passkey(people, counts=counts)
    for _ in range(3):
        assert (await proved(people, device)).id == user_id
    (factor,), left = await people.accounts.enrolments.list(user_id)
    assert (factor.kind, factor.name, factor.last_used_at_ms, left) == ("passkey", "Laptop", people.clock.now_ms(), 10)
    kept = await people.stores.factors.passkey(device.id)
    assert (kept.sign_count, kept.transports) == (3 if counts else 0, ("hybrid", "internal"))


async def test_with_a_passkey_the_password_alone_is_not_enough(people):
    user_id = await people.join(ADA)
    _, codes = await add_passkey(people, user_id)
    with pytest.raises(Unauthenticated) as wanted:
        await people.accounts.logins.login(ADA, PASSWORD)
    assert wanted.value.failure.extra["methods"] == ["passkey", "recovery_code"]
    opened = await answer(people, wanted.value.failure.extra["challenge"], codes[0])
    assert people.tokens.verify(opened.access_token).amr == ("pwd", "otp", "mfa")


async def test_recovery_codes_come_with_the_first_factor_only(people):
    app = await with_app(people)
    device, codes = await add_passkey(people, app.user_id)
    assert (len(app.recovery_codes), codes) == (10, ())
    assert (await people.accounts.enrolments.list(app.user_id))[1] == 10
    kept = await people.stores.factors.passkey(device.id)
    await people.accounts.enrolments.remove(app.user_id, kept.id)
    assert (await people.accounts.enrolments.list(app.user_id))[1] == 10
    assert await answer(people, await asked(people), app.recovery_codes[0])
    await refused(people, device.get(await people.accounts.passkeys.login_options()))


async def test_an_answer_is_taken_once_also_when_sent_twice_at_once(people):
    _, device = await with_passkey(people, counts=False)
    credential = device.get(await people.accounts.passkeys.login_options())
    outcomes = await asyncio.gather(
        *(people.accounts.passkeys.prove(credential) for _ in range(4)), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    await refused(people, credential, "challenge_spent")


async def test_options_hold_five_minutes_and_only_for_what_they_were_made(people):
    user_id, device = await with_passkey(people)
    options = await people.accounts.passkeys.login_options()
    assert (options["timeout"], options["rpId"], options["allowCredentials"]) == (300_000, "localhost", [])
    people.clock.advance(seconds=300)
    await refused(people, device.get(options), "challenge_spent")
    registration = await people.accounts.passkeys.registration_options(user_id)
    crossed = {"challenge": registration["challenge"], "rpId": "localhost", "userVerification": "required"}
    await refused(people, device.get(crossed), "challenge_spent")
    own = {**crossed, "challenge": coded(b"x" * 32)}
    await refused(people, device.get(own), "challenge_spent")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8001", "https://localhost:8000", "null"])
async def test_pages_of_other_origins_are_refused(people, origin):
    _, device = await with_passkey(people)
    device.origin = origin
    await refused(people, device.get(await people.accounts.passkeys.login_options()))


async def test_what_the_device_signed_for_another_domain_person_or_purpose_is_refused(people):
    _, device = await with_passkey(people)
    bob_id = await people.join(BOB)
    stranger = generate_private_key(SECP256R1())
    for changes in (
        {"rp_id": "evil.example"},
        {"type": "webauthn.create"},
        {"key": stranger},
        {"user_handle": coded(bytes.fromhex(bob_id.replace("-", "")))},
        {"user_handle": ""},
    ):
        await refused(people, device.get(await people.accounts.passkeys.login_options(), **changes))
    assert await proved(people, device)


async def test_a_device_that_did_not_verify_its_person_is_refused(people):
    user_id, device = await with_passkey(people)
    device.flags = PRESENT
    await refused(people, device.get(await people.accounts.passkeys.login_options()))
    unsure = Authenticator(flags=PRESENT)
    options = await people.accounts.passkeys.registration_options(user_id)
    with pytest.raises(Invalid) as wrong:
        await people.accounts.passkeys.register(user_id, unsure.create(options))
    assert [one.code for one in wrong.value.failure.errors] == ["wrong_passkey"]


async def test_a_count_that_does_not_rise_is_a_copy_and_in_the_trail(people):
    user_id, device = await with_passkey(people)
    copy = device.copy()
    for _ in range(2):
        await proved(people, device)
    await refused(people, copy.get(await people.accounts.passkeys.login_options()))
    events = [one for one in people.trail.kept if one.outcome == "sign_count_regressed"]
    assert [(one.actor, one.kind) for one in events] == [(user_id, "factor")]
    assert await proved(people, device)


async def test_of_two_at_once_with_the_same_count_one_gets_in(people):
    _, device = await with_passkey(people)
    copies = [device.copy() for _ in range(4)]
    credentials = [copy.get(await people.accounts.passkeys.login_options()) for copy in copies]
    outcomes = await asyncio.gather(
        *(people.accounts.passkeys.prove(one) for one in credentials), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1


async def test_two_tabs_at_once_both_get_in_when_their_counts_come_in_order(people):
    _, device = await with_passkey(people)
    first, second = [device.get(await people.accounts.passkeys.login_options()) for _ in range(2)]
    assert await people.accounts.passkeys.prove(first)
    assert await people.accounts.passkeys.prove(second)


async def test_only_whose_options_they_are_registers_and_once(people):
    ada, bob = await people.join(ADA), await people.join(BOB)
    options = await people.accounts.passkeys.registration_options(ada)
    credential = Authenticator().create(options)
    with pytest.raises(Invalid):
        await people.accounts.passkeys.register(bob, credential)
    with pytest.raises(Invalid):  # bob's attempt used the options up
        await people.accounts.passkeys.register(ada, credential)
    assert await people.accounts.enrolments.list(ada) == ([], 0)


async def test_a_passkey_belongs_to_one_account(people):
    ada, device = await with_passkey(people)
    bob = await people.join(BOB)
    options = await people.accounts.passkeys.registration_options(bob)
    with pytest.raises(Conflict, match="passkey_taken"):
        await people.accounts.passkeys.register(bob, replace(device).create(options))
    assert (await proved(people, device)).id == ada
    excluded = (await people.accounts.passkeys.registration_options(ada))["excludeCredentials"]
    assert [one["id"] for one in excluded] == [coded(device.id)]


async def test_twenty_passkeys_are_enough(people):
    user_id = await people.join(ADA)
    for _ in range(20):
        await add_passkey(people, user_id)
    with pytest.raises(Conflict, match="passkeys_max"):
        await add_passkey(people, user_id)


async def test_reauthenticating_by_a_passkey_of_ones_own(people):
    user_id, device = await with_passkey(people)
    await people.join(BOB)
    logins, passkeys = people.accounts.logins, people.accounts.passkeys
    actor = Actor(user_id, ("customer",))
    fresh = await logins.reauthenticate_by_passkey(actor, device.get(await passkeys.login_options()))
    verified = people.tokens.verify(fresh.access_token)
    assert (verified.amr, verified.actor) == (("pop", "mfa"), actor)
    await people.accounts.step_up.check(verified)
    with pytest.raises(Invalid):
        await logins.reauthenticate_by_passkey(
            Actor(new_id(), ("customer",)), device.get(await passkeys.login_options())
        )
    with pytest.raises(Invalid):
        await logins.reauthenticate_by_passkey(actor, device.get(await passkeys.login_options(), user_handle=""))


async def test_who_is_suspended_or_deleted_does_not_get_in_by_a_passkey(people):
    user_id, device = await with_passkey(people)
    await people.accounts.people.suspend(Actor(new_id(), ("admin",)), user_id, "fraud")
    with pytest.raises(Forbidden, match="account_suspended"):
        await proved(people, device)
    await people.accounts.people.delete(Actor(new_id(), ("admin",)), user_id)
    await refused(people, device.get(await people.accounts.passkeys.login_options()))


async def test_guests_register_no_passkeys(people):
    with pytest.raises(Forbidden, match="account_required"):
        await people.accounts.passkeys.registration_options(f"guest:{new_id()}")


async def test_both_kinds_are_listed_the_oldest_first(people):
    user_id, _ = await with_passkey(people)
    people.clock.advance(seconds=1)
    await add_app(people, user_id)
    found, _ = await people.accounts.enrolments.list(user_id)
    assert [one.kind for one in found] == ["passkey", "totp"]


def test_the_domain_follows_from_the_web_application_unless_it_is_set():
    assert relying_party_of(Settings()) == RelyingParty("localhost", ("http://localhost:8000",))
    app = Settings(app_url="https://shop.example:8443/app")
    assert relying_party_of(app) == RelyingParty("shop.example", ("https://shop.example:8443",))
    named = Settings(
        app_url="https://shop.example",
        passkey_domain="example.org",
        passkey_origins="https://a.example.org, https://b.example.org",
    )
    assert relying_party_of(named) == RelyingParty("example.org", ("https://a.example.org", "https://b.example.org"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=60).map(coded),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("url", [""], indirect=False)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spoiled=st.dictionaries(st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "userHandle"]), JSON)
)
async def test_whatever_is_made_up_is_refused_and_raises_nothing_else(people, url, spoiled):
    user_id = next(iter(people.stores.users.by_id), None)
    if user_id is None:
        user_id, people.device = await with_passkey(people)
    credential = people.device.get(await people.accounts.passkeys.login_options())
    honest = dict(credential["response"])
    credential["response"] |= spoiled
    if credential["response"] != honest:
        with pytest.raises(Unauthenticated):
            await people.accounts.passkeys.prove(credential)
