"""Second factors: authenticator apps and recovery codes at logins."""

import asyncio
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp import TOTP

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from domain.ids import new_id
from services.access.check import may
from services.access.policy import Permission
from services.accounts.factor_codes import matching_step, recovery_hash
from services.accounts.registration import NewUser
from tests.serve.clinic import CLINIC
from tests.services.accounts.factors import ADA, add_app, answer, asked, with_app
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD


async def test_an_authenticator_app_is_asked_for_once_its_first_code_was_right(people):
    user_id = await people.join(ADA)
    begun = await people.accounts.enrolments.begin(user_id, "Phone")
    uri = urlsplit(begun.otpauth_uri)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", f"/Atrium:{ADA}")
    assert parse_qs(uri.query) == {"secret": [begun.secret], "issuer": ["Atrium"]}
    assert await people.accounts.logins.login(ADA, PASSWORD)
    assert await people.accounts.enrolments.list(user_id) == ([], 0)
    app = await add_app(people, user_id)
    opened = await answer(people, await asked(people, device="Phone"), app.code(people))
    seen = people.tokens.verify(opened.access_token)
    assert (seen.actor, seen.amr) == (Actor(user_id, ("customer",)), ("pwd", "otp", "mfa"))
    assert seen.auth_time == people.clock.now_ms() // 1_000
    assert opened.login.device == "Phone"
    again = await people.accounts.logins.refresh(opened.refresh_token)
    assert people.tokens.verify(again.access_token).amr == seen.amr


async def test_an_enrolment_begun_again_voids_the_one_before_and_one_that_holds_stays(people):
    user_id = await people.join(ADA)
    first = await people.accounts.enrolments.begin(user_id)
    app = await add_app(people, user_id)
    challenge = await people.accounts.factors.challenged(first.challenge, "enrolment")
    with pytest.raises(Unauthenticated, match="mfa_failed"):
        await people.accounts.enrolments.confirm(challenge, app.code(people))
    with pytest.raises(Conflict, match="factor_exists"):
        await people.accounts.enrolments.begin(user_id)
    assert await answer(people, await asked(people), app.code(people))


async def test_a_login_says_what_it_wants_and_for_how_long(people):
    app = await with_app(people)
    with pytest.raises(Unauthenticated) as wanted:
        await people.accounts.logins.login(ADA, PASSWORD)
    said = wanted.value.failure.extra
    assert (said["methods"], said["expires_in"]) == (["recovery_code", "totp"], 300)
    people.clock.advance(seconds=300)
    with pytest.raises(Unauthenticated, match="challenge_spent"):
        await answer(people, said["challenge"], app.code(people))


async def test_the_password_is_looked_at_first_and_tells_nothing_of_factors(people):
    await with_app(people)
    for email in (ADA, "nobody@example.test"):
        with pytest.raises(Unauthenticated, match="login_failed"):
            await people.accounts.logins.login(email, OTHER_PASSWORD)


async def test_a_clock_may_be_off_by_one_step_either_way_and_no_more(people):
    app = await with_app(people)
    people.clock.advance(seconds=600)
    for steps in (-2, 2):
        with pytest.raises(Unauthenticated, match="mfa_failed"):
            await answer(people, await asked(people), app.code(people, steps))
    for steps in (-1, 0, 1):
        assert await answer(people, await asked(people), app.code(people, steps))


async def test_a_code_is_good_once_and_older_ones_are_void_with_it(people):
    app = await with_app(people)
    assert await answer(people, await asked(people), app.code(people))
    for steps in (0, -1):
        with pytest.raises(Unauthenticated, match="mfa_failed"):
            await answer(people, await asked(people), app.code(people, steps))
    assert await answer(people, await asked(people), app.code(people, 1))


async def test_the_code_of_an_enrolment_does_not_log_in_too(people):
    user_id = await people.join(ADA)
    app = await add_app(people, user_id)
    people.clock.advance(seconds=-30)
    with pytest.raises(Unauthenticated, match="mfa_failed"):
        await answer(people, await asked(people), app.code(people))


async def test_of_many_logins_at_once_with_one_code_one_gets_in(people):
    app = await with_app(people)
    challenges = [await asked(people) for _ in range(4)]
    code = app.code(people)
    outcomes = await asyncio.gather(*(answer(people, each, code) for each in challenges), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, AtriumError)]
    assert [one.failure.code for one in refused] == ["mfa_failed"] * 3
    assert len(await people.accounts.logins.list(app.user_id)) == 1


async def test_a_challenge_logs_in_once_also_when_answered_twice_at_once(people):
    app = await with_app(people)
    challenge = await asked(people)
    codes = (app.code(people), app.recovery_codes[0], app.recovery_codes[1])
    outcomes = await asyncio.gather(*(answer(people, challenge, code) for code in codes), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert len(await people.accounts.logins.list(app.user_id)) == 1
    with pytest.raises(Unauthenticated, match="challenge_spent"):
        await answer(people, challenge, app.code(people, 1))


async def test_guessing_codes_locks_for_longer_and_longer_over_all_challenges(people):
    app = await with_app(people)
    for _ in range(5):
        with pytest.raises(Unauthenticated, match="mfa_failed"):
            await answer(people, await asked(people), "000000")
    waits = []
    for _ in range(3):
        challenge = await asked(people)
        with pytest.raises(TooMany, match="login_locked") as locked:
            await answer(people, challenge, app.code(people))
        waits.append(locked.value.failure.retry_after_ms // 1_000)
        people.clock.advance(seconds=waits[-1])
        with pytest.raises(Unauthenticated, match="mfa_failed"):
            await answer(people, await asked(people), app.recovery_codes[0].translate({ord("-"): "0"}))
    assert waits == [60, 120, 240]
    people.clock.advance(seconds=480)
    assert await answer(people, await asked(people), app.code(people))


async def test_many_guesses_at_once_are_counted_like_many_after_each_other(people):
    await with_app(people)
    challenge = await asked(people)
    tries = (answer(people, challenge, f"{n:06}") for n in range(20))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Unauthenticated) for one in outcomes) == 5
    assert sum(isinstance(one, TooMany) for one in outcomes) == 15


async def test_a_new_password_is_no_way_around_the_second_factor(people):
    app = await with_app(people)
    await people.accounts.recovery.forgot(ADA)
    await people.settled()
    await people.accounts.recovery.reset(people.mail.code(ADA), OTHER_PASSWORD)
    with pytest.raises(Unauthenticated, match="mfa_required") as wanted:
        await people.accounts.logins.login(ADA, OTHER_PASSWORD)
    assert await answer(people, wanted.value.failure.extra["challenge"], app.code(people))


async def test_ten_recovery_codes_are_each_good_once_and_told_by_mail(people):
    app = await with_app(people)
    assert len(set(app.recovery_codes)) == 10
    first = app.recovery_codes[0]
    typed = first.upper().replace("-", " ").replace("1", "L").replace("0", "O")
    opened = await answer(people, await asked(people), typed)
    await people.settled()
    assert people.tokens.verify(opened.access_token).amr == ("pwd", "otp", "mfa")
    assert [mail["Subject"] for mail in people.mail.to(ADA)][-1] == "A recovery code was used"
    with pytest.raises(Unauthenticated, match="mfa_failed"):
        await answer(people, await asked(people), first)
    assert (await people.accounts.enrolments.list(app.user_id))[1] == 9
    assert [event.action for event in people.trail.kept if event.action == "recovery_code_used"]


async def test_of_many_at_once_with_one_recovery_code_one_gets_in(people):
    app = await with_app(people)
    challenges = [await asked(people) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(answer(people, each, app.recovery_codes[0]) for each in challenges), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1


async def test_recovery_codes_of_one_do_not_open_the_account_of_another(people):
    app = await with_app(people)
    await with_app(people, "bob@example.test")
    with pytest.raises(Unauthenticated, match="mfa_failed"):
        await answer(people, await asked(people, "bob@example.test"), app.recovery_codes[0])


async def test_made_again_recovery_codes_void_the_old_ones(people):
    app = await with_app(people)
    fresh = await people.accounts.enrolments.regenerate(app.user_id)
    assert not set(fresh) & set(app.recovery_codes)
    with pytest.raises(Unauthenticated):
        await answer(people, await asked(people), app.recovery_codes[0])
    assert await answer(people, await asked(people), fresh[0])
    other = await people.join("bob@example.test")
    with pytest.raises(Conflict, match="no_factor"):
        await people.accounts.enrolments.regenerate(other)


async def test_without_the_last_factor_the_password_is_enough_and_the_codes_are_gone(people):
    app = await with_app(people)
    (factor,), left = await people.accounts.enrolments.list(app.user_id)
    assert (factor.kind, factor.name, left) == ("totp", "Phone", 10)
    with pytest.raises(NotFound):
        await people.accounts.enrolments.remove(await people.join("bob@example.test"), factor.id)
    await people.accounts.enrolments.remove(app.user_id, factor.id)
    await people.settled()
    assert await people.accounts.logins.login(ADA, PASSWORD)
    assert await people.accounts.enrolments.list(app.user_id) == ([], 0)
    subjects = [mail["Subject"] for mail in people.mail.to(ADA)]
    assert subjects[-2:] == [
        "A second factor was added to your account",
        "A second factor was removed from your account",
    ]
    assert [one.action for one in people.trail.kept if one.kind == "factor"] == ["factor_added", "factor_removed"]


async def test_reauthenticating_asks_for_the_factors_too(people):
    app = await with_app(people)
    actor = Actor(app.user_id, ("customer",))
    for code, problem in (("", "required"), ("000000", "wrong_code")):
        with pytest.raises(Invalid) as refused:
            await people.accounts.logins.reauthenticate(actor, PASSWORD, code)
        assert [(one.path, one.code) for one in refused.value.failure.errors] == [("code", problem)]
    fresh = await people.accounts.logins.reauthenticate(actor, PASSWORD, app.code(people))
    assert people.tokens.verify(fresh.access_token).amr == ("pwd", "otp", "mfa")


async def test_step_up_wants_a_proof_of_now_by_all_factors(people):
    user_id = await people.join(ADA)
    step_up = people.accounts.step_up
    single = people.tokens.verify((await people.accounts.logins.login(ADA, PASSWORD)).access_token)
    await step_up.check(single)
    people.clock.advance(seconds=301)
    guest = people.tokens.verify(people.tokens.issue_guest()[0])
    for unproved in (single, guest, None):
        with pytest.raises(Forbidden, match="reauthentication_required"):
            await step_up.check(unproved)
    single = people.tokens.verify((await people.accounts.logins.login(ADA, PASSWORD)).access_token)
    app = await add_app(people, user_id)
    with pytest.raises(Forbidden, match="reauthentication_required"):
        await step_up.check(single)
    fresh = await people.accounts.logins.reauthenticate(single.actor, PASSWORD, app.code(people))
    await step_up.check(people.tokens.verify(fresh.access_token))


async def test_who_is_suspended_meanwhile_or_no_member_any_more_does_not_get_in(people):
    app = await with_app(people)
    with pytest.raises(Forbidden, match="not_a_member"):
        await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)
    boss = Actor(new_id(), ("admin",), (CLINIC,))
    await people.accounts.members.add(boss, CLINIC, "provider", email=ADA)
    challenge = await asked(people, organization_id=CLINIC)
    await people.accounts.members.remove(boss, CLINIC, app.user_id)
    with pytest.raises(Forbidden, match="not_a_member"):
        await answer(people, challenge, app.code(people))
    challenge = await asked(people)
    await people.accounts.people.suspend(Actor(new_id(), ("admin",)), app.user_id, "fraud")
    with pytest.raises(Forbidden, match="account_suspended"):
        await answer(people, challenge, app.code(people, 1))


async def test_an_admin_of_the_platform_resets_factors_and_is_in_the_trail(people):
    app = await with_app(people)
    opened = await answer(people, await asked(people), app.code(people))
    for stranger in (Actor(app.user_id, ("customer",)), Actor(new_id(), ("admin",), (CLINIC,))):
        with pytest.raises(NotFound):
            await people.accounts.enrolments.reset(stranger, app.user_id, "phone lost")
    admin = Actor(new_id(), ("admin",))
    assert await people.accounts.enrolments.reset(admin, app.user_id, "phone lost") == 1
    await people.settled()
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.refresh(opened.refresh_token)
    assert await people.accounts.logins.login(ADA, PASSWORD)
    (event,) = [one for one in people.trail.kept if one.action == "factors_reset"]
    assert (event.actor, event.object_id, event.reason) == (admin.subject, app.user_id, "phone lost")
    assert people.mail.to(ADA)[-1]["Subject"] == "The second factors of your account were reset"


async def test_guests_have_no_factors(people):
    with pytest.raises(Forbidden, match="account_required"):
        await people.accounts.enrolments.begin(f"guest:{new_id()}")


async def test_what_says_no_code_at_all_is_refused_like_a_wrong_one(people):
    await with_app(people)
    for code in ("", " ", "\uff11\uff12\uff13\uff14\uff15\uff16", "12345", "\ud800", "x" * 40):
        people.clock.advance(seconds=3_600)
        with pytest.raises(Unauthenticated, match="mfa_failed"):
            await answer(people, await asked(people), code)


async def test_an_account_made_by_command_may_take_up_factors_too(people):
    made = await people.accounts.registration.create(
        NewUser(email="boss@example.test", password=PASSWORD, name="Boss"), ("admin",)
    )
    app = await add_app(people, made.id)
    opened = await answer(people, await asked(people, "boss@example.test"), app.code(people))
    assert may(people.tokens.verify(opened.access_token).actor, Permission.PLATFORM_RUN)


@given(
    now_ms=st.integers(0, 2**42),
    step=st.integers(-3, 3),
    after=st.integers(-3, 3),
    drift=st.integers(0, 2),
)
def test_a_code_matches_its_own_step_if_that_is_near_and_later_than_the_last(now_ms, step, after, drift):
    secret, here = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", now_ms // 30_000
    code = TOTP(secret).generate_otp(max(0, here + step))
    found = matching_step(secret, code, now_ms, after=here + after, drift_steps=drift)
    if found >= 0:
        assert (abs(found - here) <= drift, found > here + after) == (True, True)
        assert TOTP(secret).generate_otp(found) == code
    elif here + step >= 0:
        assert abs(step) > drift or step <= after


@given(st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=16, max_size=16), st.randoms(use_true_random=False))
def test_however_a_recovery_code_is_typed_it_is_the_same(code, random):
    lookalikes = {"0": "0oO", "1": "1iIlL"}
    typed = "".join(
        random.choice(lookalikes.get(each, each + each.upper())) + random.choice(["", "-", " "]) for each in code
    )
    assert recovery_hash("u-1", typed) == recovery_hash("u-1", code)
    assert recovery_hash("u-2", code) != recovery_hash("u-1", code)
