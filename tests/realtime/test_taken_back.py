"""An open socket ends within a tick when what it was opened with is taken back."""

import pytest

from domain.ids import new_id
from realtime import codes
from serve.live.adapters import TokenAuthenticator
from services.tokens import Tokens
from storage.accounts.revocations import Ending, for_ever, up_to
from tests.realtime.fakes import House, Wire, settle
from tests.serve.house import SIGNING_KEY, ManualClock

ADA, PHONE, TABLET = new_id(), new_id(), new_id()


class Checked(House):
    """A gateway that checks real tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.time = ManualClock()
        self.time.ms = self.clock.wall()
        self.tokens = Tokens(self.time, signing=SIGNING_KEY)
        self.use(authenticator=TokenAuthenticator(self.tokens), revoked=self.tokens.revoked)

    def token(self, login: str) -> str:
        return self.tokens.issue(ADA, ("customer",), login=login)


async def test_the_sockets_of_an_ended_login_are_closed_for_good_and_others_stay() -> None:
    async with Checked() as house:
        phone, tablet = await house.connect(house.token(PHONE)), await house.connect(house.token(TABLET))
        house.tokens.revoked.add([for_ever(PHONE, house.time.now_ms())])
        await house.tick(1)
        assert (phone.closed, tablet.closed) == ((codes.TOKEN_INVALID, "token_revoked"), None)
        assert not codes.may_reconnect(codes.TOKEN_INVALID)


async def test_whoever_has_lost_a_role_may_come_back_with_a_fresh_token_only() -> None:
    async with Checked() as house:
        old = house.token(PHONE)
        wire = await house.connect(old)
        house.tokens.revoked.add([up_to(ADA, Ending.OUTDATED, house.time.now_ms())])
        await house.tick(1)
        assert wire.closed == (codes.STATE_INVALIDATED, "the rights have changed")
        assert await refused(house, old) == codes.TOKEN_EXPIRED
        house.time.advance(seconds=1)
        await house.connect(house.token(PHONE))


async def test_a_token_of_an_ended_login_opens_nothing_and_renews_nothing() -> None:
    async with Checked() as house:
        ended = house.token(PHONE)
        wire = await house.connect(house.token(TABLET))
        house.tokens.revoked.add([for_ever(PHONE, house.time.now_ms())])
        assert await refused(house, ended) == codes.TOKEN_INVALID
        wire.feed({"t": "auth", "token": ended})
        await settle()
        assert wire.closed is not None
        assert wire.closed[0] == codes.TOKEN_INVALID


@pytest.mark.parametrize("ended", [PHONE, TABLET])
async def test_a_socket_counts_by_the_token_it_was_renewed_with(ended: str) -> None:
    async with Checked() as house:
        wire = await house.connect(house.token(PHONE))
        wire.feed({"t": "auth", "token": house.token(TABLET)})
        await settle()
        house.tokens.revoked.add([for_ever(ended, house.time.now_ms())])
        await house.tick(1)
        assert (wire.closed is not None) == (ended == TABLET)


async def refused(house: Checked, token: str) -> int:
    wire: Wire = house.open()
    wire.feed({"t": "hello", "v": [1, 1], "token": token})
    await settle()
    assert wire.closed is not None
    return wire.closed[0]
