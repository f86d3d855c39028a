"""Passwords: one amount of work for everybody, bounded, off the event loop."""

import asyncio

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.errors import Invalid, Unavailable
from services.accounts.limits import AccountLimits
from services.accounts.passwords import Passwords
from tests.services.accounts.people import CHEAP, PASSWORD


class Counting(Argon2Hasher):
    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, password, hash):
        self.verified += 1
        return super().verify(password, hash)


async def test_nobodys_password_takes_as_much_work_as_somebodys():
    hashing = Counting()
    passwords = Passwords(hashing=hashing)
    kept = await passwords.hash(PASSWORD)
    assert await passwords.verify("wrong", kept) == (False, "")
    assert hashing.verified == 1
    assert await passwords.verify("wrong", "") == (False, "")
    assert hashing.verified == 2
    passwords.close()


async def test_not_even_the_stand_ins_password_logs_in_without_an_account():
    passwords = Passwords(hashing=CHEAP)
    assert await passwords.verify("nobody has this password", "") == (False, "")
    passwords.close()


async def test_a_composed_accent_is_the_same_password_as_one_that_is_typed_apart():
    passwords = Passwords(hashing=CHEAP)
    kept = await passwords.hash("caf\u00e9 umbrella")
    assert await passwords.verify("cafe\u0301 umbrella", kept) == (True, "")
    passwords.close()


async def test_hashes_of_no_known_kind_and_too_long_ones_for_bcrypt_do_not_verify():
    passwords = Passwords(hashing=CHEAP)
    assert await passwords.verify(PASSWORD, "plain text") == (False, "")
    bcrypt = "$2b$04$" + "a" * 53
    assert await passwords.verify("x" * 73, bcrypt) == (False, "")
    passwords.close()


async def test_past_its_bound_hashing_is_refused_at_once():
    passwords = Passwords(AccountLimits(hashing_waiting_max=3), hashing=CHEAP)
    results = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(5)), return_exceptions=True)
    refused = [one for one in results if isinstance(one, Unavailable)]
    assert [one.failure.code for one in refused] == ["overloaded", "overloaded"]
    assert await passwords.hash(PASSWORD)
    passwords.close()


async def test_ones_own_name_and_address_are_no_password():
    passwords = Passwords(hashing=CHEAP)
    password = "winterhaltergerlinde"
    await passwords.check(password, "password", ())
    with pytest.raises(Invalid) as refused:
        await passwords.check(password, "password", ("winterhalter@example.test", "Gerlinde"))
    assert [one.code for one in refused.value.failure.errors] == ["password_too_weak"]
    passwords.close()
