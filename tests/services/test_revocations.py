"""What has been taken back does not hold any more, however many there are and whoever did it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Unauthenticated, Unavailable
from domain.ids import new_id
from services.accounts.revocations import CHANNEL, Revocations
from services.revocation_list import RevocationList
from services.tokens import Tokens
from storage.accounts.revocations import KEPT_MS, Ending, Revocation, for_ever, up_to
from tests.conditions import until
from tests.serve.clinic import CLINIC
from tests.serve.house import SIGNING_KEY, ManualClock
from tests.services.accounts.memory import MemoryRevocations

ADA, LOGIN = new_id(), new_id()


class Ear:
    """A bus that another gateway listens to."""

    def __init__(self, other: Revocations) -> None:
        self.other = other
        self.deaf = False

    def publish(self, channel: str, payload: bytes) -> None:
        assert channel == CHANNEL
        if not self.deaf:
            self.other.heard(payload)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tokens(clock):
    return Tokens(clock, signing=SIGNING_KEY)


def code_of(tokens, token):
    try:
        tokens.verify(token)
    except Unauthenticated as error:
        return error.failure.code
    return ""


def token_of(tokens, login=LOGIN, **more):
    return tokens.issue(ADA, ("customer",), login=login, **more)


def test_the_tokens_of_an_ended_login_do_not_hold_also_those_issued_later(tokens, clock):
    early, other = token_of(tokens), token_of(tokens, login=new_id())
    assert code_of(tokens, early) == ""
    tokens.revoked.add([for_ever(LOGIN, clock.now_ms())])
    clock.advance(seconds=5)
    late = token_of(tokens)
    assert [code_of(tokens, one) for one in (early, late, other)] == ["token_revoked", "token_revoked", ""]


def test_who_was_shut_out_comes_back_with_a_later_token_only(tokens, clock):
    before = [token_of(tokens), token_of(tokens, login="")]
    tokens.revoked.add([up_to(ADA, Ending.ENDED, clock.now_ms())])
    clock.advance(seconds=0.001)
    assert [code_of(tokens, one) for one in before] == ["token_revoked"] * 2
    assert code_of(tokens, token_of(tokens)) == ""


def test_a_token_whose_roles_were_looked_up_before_they_were_taken_away_is_outdated(tokens, clock):
    began = clock.now_ms()
    clock.advance(seconds=0.1)
    tokens.revoked.add([up_to(ADA, Ending.OUTDATED, clock.now_ms())])
    clock.advance(seconds=0.1)
    assert code_of(tokens, token_of(tokens, as_of_ms=began)) == "token_outdated"
    assert code_of(tokens, token_of(tokens)) == ""


def test_an_organization_can_be_outdated_for_everybody_who_acts_for_it(tokens, clock):
    there = tokens.issue(new_id(), ("provider",), (new_id(), CLINIC), login=new_id())
    elsewhere = tokens.issue(new_id(), ("provider",), (new_id(),), login=new_id())
    tokens.revoked.add([up_to(CLINIC, Ending.OUTDATED, clock.now_ms())])
    assert (code_of(tokens, there), code_of(tokens, elsewhere)) == ("token_outdated", "")


def test_a_proof_of_an_ended_login_is_none(tokens, clock):
    token = token_of(tokens)
    actor = tokens.verify(token).actor
    tokens.revoked.add([for_ever(LOGIN, clock.now_ms())])
    with pytest.raises(Exception, match="Log in again"):
        tokens.proof(token, actor, 300)


def test_past_its_bound_the_list_refuses_logins_tokens_rather_than_forget(tokens, clock):
    tokens.revoked = RevocationList(entries_max=2)
    ended = token_of(tokens)
    guest = tokens.issue_guest()[0]
    tokens.revoked.add([for_ever(LOGIN, clock.now_ms())])
    clock.advance(seconds=1)
    tokens.revoked.add([for_ever(new_id(), clock.now_ms()) for _ in range(2)])
    assert len(tokens.revoked) == 2
    assert code_of(tokens, ended) == "token_outdated"
    assert code_of(tokens, guest) == ""
    assert code_of(tokens, token_of(tokens, login=new_id())) == ""


def test_what_would_have_run_out_is_forgotten(tokens, clock):
    tokens.revoked.add([for_ever(LOGIN, clock.now_ms())])
    clock.advance(seconds=KEPT_MS / 1_000)
    tokens.revoked.forget(clock.now_ms())
    assert len(tokens.revoked) == 0


_SOME = st.builds(
    lambda id_, kind, cutoff: Revocation(id_, kind, cutoff, cutoff + KEPT_MS),
    st.sampled_from([ADA, LOGIN, CLINIC]),
    st.sampled_from(list(Ending)),
    st.integers(0, 50),
)


@given(st.lists(_SOME, max_size=12), st.randoms(use_true_random=False))
def test_the_order_in_which_news_comes_does_not_matter(news, random):
    shuffled = [*news, *news]
    random.shuffle(shuffled)
    one, other = RevocationList(), RevocationList()
    one.add(news)
    for each in shuffled:
        other.add([each])
    tokens = Tokens(ManualClock(), signing=SIGNING_KEY)
    verified = tokens.verify(tokens.issue(ADA, ("provider",), (CLINIC,), login=LOGIN, as_of_ms=25))
    assert one.ending(verified) == other.ending(verified)
    assert one.add(shuffled) == []


async def test_another_gateway_hears_and_one_that_was_deaf_reads(clock):
    store, mine, others = MemoryRevocations(), RevocationList(), RevocationList()
    other = Revocations(store, others, clock)
    ear = Ear(other)
    here = Revocations(store, mine, clock, ear)
    await store.add([for_ever(LOGIN, clock.now_ms())])
    await here.spread()
    assert len(mine) == len(others) == 1
    ear.deaf = True
    assert await here.revoke_person(ADA, "suspended") == 0
    assert (len(mine), len(others)) == (2, 1)
    await other.load()
    assert len(others) == 2


async def test_a_gap_in_listening_is_closed_from_the_database(clock):
    store, known = MemoryRevocations(), RevocationList()
    revocations = Revocations(store, known, clock)
    looking = asyncio.create_task(revocations.look_forever())
    await store.add([for_ever(LOGIN, clock.now_ms())])
    revocations.missed()
    await until(lambda: len(known) == 1, "the gap is closed")
    looking.cancel()


async def test_a_process_that_was_stopped_reads_all_and_not_the_last_minute(clock):
    class LongAgo(MemoryRevocations):
        async def recent(self):
            return []

        async def all(self, now_ms, limit):
            return self.rows[:limit]

    store, known = LongAgo(), RevocationList()
    store.rows.append(for_ever(LOGIN, clock.now_ms()))
    looking = asyncio.create_task(Revocations(store, known, clock, look_seconds=0.001).look_forever())
    await asyncio.sleep(0)
    clock.advance(seconds=31)
    await until(lambda: len(known) == 1, "everything is read")
    looking.cancel()


async def test_a_failed_look_is_made_good_by_reading_everything(clock):
    store, known = MemoryRevocations(), RevocationList()
    store.down = True
    store.rows.append(for_ever(LOGIN, clock.now_ms()))
    looking = asyncio.create_task(Revocations(store, known, clock, look_seconds=0.001).look_forever())
    await asyncio.sleep(0)
    store.down = False
    await until(lambda: len(known) == 1, "everything is read")
    looking.cancel()


async def test_when_the_database_goes_away_it_holds_here_and_the_caller_is_told(clock):
    class Away(MemoryRevocations):
        async def add(self, revocations):
            raise Unavailable("The database does not answer.")

    known = RevocationList()
    with pytest.raises(Unavailable):
        await Revocations(Away(), known, clock).outdate(ADA)
    assert len(known) == 1
    store = MemoryRevocations()
    store.down = True
    await Revocations(store, known, clock).spread()
