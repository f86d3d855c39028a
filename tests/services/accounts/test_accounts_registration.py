"""Registration, and the proof of an address."""

import pytest

from domain.errors import Forbidden, Invalid, Unauthenticated
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD, text_of

ADA = "ada@example.test"


async def test_an_account_is_pending_until_its_address_is_confirmed(people):
    await people.register(ADA)
    with pytest.raises(Forbidden, match="email_unverified"):
        await people.accounts.logins.login(ADA, PASSWORD)
    user = await people.accounts.registration.verify(people.mail.code(ADA))
    assert (user.email, user.status) == (ADA, "active")
    assert (await people.accounts.logins.login("ADA@Example.test", PASSWORD)).user.id == user.id


async def test_registering_an_address_that_has_an_account_changes_nothing_and_is_told_by_mail_only(people):
    await people.join(ADA)
    await people.register(ADA, OTHER_PASSWORD, name="Mallory")
    assert people.mail.to(ADA)[-1]["Subject"] == "You already have an account"
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    assert opened.user.name == "Ada"
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.login(ADA, OTHER_PASSWORD)


async def test_who_confirms_has_the_password_of_their_own_registration(people):
    await people.register(ADA, OTHER_PASSWORD, name="Mallory")
    await people.register(ADA, PASSWORD)
    user = await people.accounts.registration.verify(people.mail.code(ADA))
    assert user.name == "Ada"
    assert (await people.accounts.logins.login(ADA, PASSWORD)).user.id == user.id


async def test_a_token_is_good_once_and_for_a_day(people):
    await people.register(ADA)
    code = people.mail.code(ADA)
    people.clock.advance(seconds=24 * 3_600)
    with pytest.raises(Invalid, match="used already"):
        await people.accounts.registration.verify(code)
    await people.register(ADA)
    code = people.mail.code(ADA)
    await people.accounts.registration.verify(code)
    with pytest.raises(Invalid, match="used already"):
        await people.accounts.registration.verify(code)


async def test_nobody_is_flooded_with_mail(people):
    for _ in range(8):
        await people.register(ADA)
    assert len(people.mail.to(ADA)) == people.accounts.limits.mails_per_hour_max
    people.clock.advance(seconds=3_601)
    await people.register(ADA)
    assert len(people.mail.to(ADA)) == people.accounts.limits.mails_per_hour_max + 1


async def test_mail_is_in_the_language_of_the_person_and_holds_nothing_they_typed(people):
    await people.register(ADA, name="<b>Visit evil.test</b>", locale="de-AT")
    mail = people.mail.to(ADA)[-1]
    assert mail["Subject"] == "Bestätigen Sie Ihre E-Mail-Adresse"
    assert "evil" not in mail.as_string()
    assert people.mail.code(ADA) in text_of(mail)


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        (ADA, "short 1", "password_too_short"),
        (ADA, "x" * 129, "too_long"),
        (ADA, "password1234", "password_too_weak"),
        ("winterhalter@example.test", "winterhalter1", "password_too_weak"),
        ("nobody", PASSWORD, "not_an_email"),
        ("аda@example.test", PASSWORD, "not_an_email"),  # noqa: RUF001 - a Cyrillic letter
        ("ada@example.test\r\nBcc: eve@example.test", PASSWORD, "not_an_email"),
        ("a@b", PASSWORD, "not_an_email"),
    ],
)
async def test_weak_passwords_and_odd_addresses_are_refused(people, email, password, code):
    with pytest.raises(Invalid) as refused:
        await people.register(email, password)
    assert [error.code for error in refused.value.failure.errors] == [code]
    assert people.mail.sent == []


async def test_a_new_address_is_taken_over_when_it_is_confirmed_and_the_old_one_is_told(people):
    user_id = await people.join(ADA)
    await people.accounts.registration.change_email(user_id, PASSWORD, "ada@elsewhere.test")
    await people.settled()
    assert (await people.accounts.profiles.get(user_id)).email == ADA
    await people.accounts.registration.verify(people.mail.code("ada@elsewhere.test"))
    await people.settled()
    assert (await people.accounts.profiles.get(user_id)).email == "ada@elsewhere.test"
    assert people.mail.to(ADA)[-1]["Subject"] == "Your e-mail address was changed"
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.login(ADA, PASSWORD)


async def test_an_address_that_became_anothers_meanwhile_is_not_taken_over(people):
    user_id = await people.join(ADA)
    await people.accounts.registration.change_email(user_id, PASSWORD, "bob@example.test")
    await people.settled()
    code = people.mail.code("bob@example.test")
    await people.join("bob@example.test")
    with pytest.raises(Invalid):
        await people.accounts.registration.verify(code)
    assert (await people.accounts.profiles.get(user_id)).email == ADA


async def test_changing_the_address_needs_the_password(people):
    user_id = await people.join(ADA)
    with pytest.raises(Invalid, match="not your password"):
        await people.accounts.registration.change_email(user_id, OTHER_PASSWORD, "ada@elsewhere.test")
