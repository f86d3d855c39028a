"""What tests of second factors do again and again."""

from typing import NamedTuple

import pytest
from pyotp import TOTP

from domain.errors import Unauthenticated
from services.accounts.logins import Opened
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.people import PASSWORD, People

ADA = "ada@example.test"


class App(NamedTuple):
    """An authenticator app, and the recovery codes that came with it."""

    user_id: str
    secret: str
    recovery_codes: tuple[str, ...]

    def code(self, people: People, steps: int = 0) -> str:
        """The code of now, or of so many steps later."""
        return TOTP(self.secret).at(people.clock.now_ms() // 1_000, counter_offset=steps)


async def with_app(people: People, email: str = ADA) -> App:
    """Somebody who has just taken up an authenticator app. Its first code is a step old."""
    user_id = await people.join(email)
    return await add_app(people, user_id)


async def add_app(people: People, user_id: str) -> App:
    begun = await people.accounts.enrolments.begin(user_id, "Phone")
    app = App(user_id, begun.secret, ())
    challenge = await people.accounts.factors.challenged(begun.challenge, "enrolment")
    codes = await people.accounts.enrolments.confirm(challenge, app.code(people))
    people.clock.advance(seconds=30)
    return app._replace(recovery_codes=codes)


async def with_passkey(people: People, email: str = ADA, **authenticator: object) -> tuple[str, Authenticator]:
    user_id = await people.join(email)
    return user_id, (await add_passkey(people, user_id, **authenticator))[0]


async def add_passkey(people: People, user_id: str, **authenticator: object) -> tuple[Authenticator, tuple[str, ...]]:
    device = Authenticator(**authenticator)
    options = await people.accounts.passkeys.registration_options(user_id)
    _, codes = await people.accounts.passkeys.register(user_id, device.create(options), "Laptop")
    return device, codes


async def asked(people: People, email: str = ADA, **login: str) -> str:
    """The challenge of a login with the right password."""
    with pytest.raises(Unauthenticated, match="mfa_required") as wanted:
        await people.accounts.logins.login(email, PASSWORD, **login)
    return wanted.value.failure.extra["challenge"]


async def answer(people: People, challenge: str, code: str) -> Opened:
    return await people.accounts.logins.finish(await people.accounts.factors.challenged(challenge, "login"), code)
