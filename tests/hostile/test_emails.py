"""Addresses that look like somebody else's, and what answers tell of who has an account."""

import asyncio
from typing import Any

import pytest

from services.accounts.emails import check_email
from services.accounts.passwords import Passwords
from tests.serve.access.accounts import address_of, give_accounts
from tests.serve.house import ALICE, House
from tests.services.accounts.people import CHEAP, OTHER_PASSWORD, PASSWORD

ADA = "ada@example.test"
LOOKALIKES = {
    "cyrillic a": "\u0430da@example.test",
    "greek omicron in the domain": "ada@example.t\u03bfst",
    "full width": "\uff41da@example.test",
    "ligature": "\ufb01da@example.test",
    "combining accent": "ad\u0301a@example.test",
    "dotless i": "ada@\u0131example.test",
    "kelvin sign": "ada@example.\u212aest",
    "zero width space": "a\u200bda@example.test",
    "zero width joiner": "ada\u200d@example.test",
    "byte order mark": "\ufeffada@example.test",
    "soft hyphen": "ad\u00ada@example.test",
    "right to left": "\u202eada@example.test",
    "no-break space": "\u00a0ada@example.test",
    "tab": "\tada@example.test",
    "line end": "ada@example.test\n",
    "a header": "ada@example.test\r\nBcc: evil@example.test",
    "trailing dot": "ada@example.test.",
    "dot before the at": "ada.@example.test",
    "full width at": "ada\uff20example.test",
    "ideographic full stop": "ada@example\u3002test",
    "quoted": '"ada"@example.test',
    "comment": "ada(x)@example.test",
    "two ats": "ada@evil@example.test",
    "a name": "Ada <ada@example.test>",
    "two addresses": "ada@example.test,evil@example.test",
    "percent": "ada%40example.test",
    "an address literal": "ada@[127.0.0.1]",
    "no dot": "ada@localhost",
    "NUL": "ada\x00@example.test",
}
SAME = ("ADA@EXAMPLE.TEST", "Ada@Example.Test", "  ada@example.test ", "ada@example.TEST")


async def register(house: House, email: str, password: str = PASSWORD) -> Any:
    body = {"email": email, "password": password, "name": "Somebody"}
    answer = await house.http.post("/api/v1/auth/register", json=body)
    await house.accounts.background.settled()
    return answer


@pytest.mark.parametrize("email", LOOKALIKES.values(), ids=LOOKALIKES)
async def test_an_address_that_only_looks_like_one_makes_no_account(house: House, email: str) -> None:
    for path, more in (("register", {"password": PASSWORD, "name": "A"}), ("login", {"password": PASSWORD})):
        answer = await house.http.post(f"/api/v1/auth/{path}", json={"email": email, **more})
        assert answer.status_code == 422, path
    assert house.mail.sent == []


@pytest.mark.parametrize("email", SAME)
async def test_another_spelling_of_an_address_is_the_same_account(house: House, email: str) -> None:
    await register(house, ADA)
    first = await house.http.post("/api/v1/auth/verify-email", json={"token": house.mail.code(ADA)})
    assert first.status_code == 200
    assert (await register(house, email, OTHER_PASSWORD)).status_code == 202
    found = await house.account_stores.users.user_by_email(check_email(email))
    assert found is not None
    assert found.id == first.json()["id"]
    login = await house.http.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert login.json()["user"]["id"] == found.id
    taken = await house.http.post("/api/v1/auth/login", json={"email": email, "password": OTHER_PASSWORD})
    assert taken.status_code == 401


async def test_of_many_who_register_an_address_at_once_there_is_one_account(house: House) -> None:
    answers = await asyncio.gather(*(register(house, each) for each in (ADA, *SAME) * 4))
    assert {answer.status_code for answer in answers} == {202}
    found = await house.account_stores.users.user_by_email(ADA)
    assert found is not None
    assert {mail["To"].lower() for mail in house.mail.sent} == {ADA}
    spent = [await house.http.post("/api/v1/auth/verify-email", json={"token": house.mail.code(ADA)}) for _ in range(2)]
    assert [answer.status_code for answer in spent] == [200, 422]


class CountingHasher:
    """argon2 that counts how often it worked: the time of an answer without a clock."""

    def __init__(self) -> None:
        self.calls = 0

    def hash(self, *args: Any, **more: Any) -> str:
        self.calls += 1
        return CHEAP.hash(*args, **more)

    def verify(self, *args: Any, **more: Any) -> bool:
        self.calls += 1
        return CHEAP.verify(*args, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(CHEAP, name)


@pytest.fixture
async def counting(house: House) -> CountingHasher:
    """The house's accounts with a hasher that counts, warmed up."""
    hasher = CountingHasher()
    passwords = Passwords(hashing=hasher)  # type: ignore[arg-type]
    accounts = house.accounts
    for part in (accounts, accounts.registration, accounts.recovery, accounts.registration._prover):
        name = "passwords" if part is accounts else "_passwords"
        setattr(part, name, passwords)
    await give_accounts(house)
    await house.http.post("/api/v1/auth/login", json={"email": "warm@example.test", "password": PASSWORD})
    return hasher


async def test_an_unknown_address_costs_as_much_hashing_as_a_known_one(house: House, counting: CountingHasher) -> None:
    known, unknown = address_of(ALICE), "nobody@example.test"
    requests: dict[str, dict[str, str]] = {
        "login": {"password": "wrong " + PASSWORD},
        "register": {"password": OTHER_PASSWORD, "name": "A"},
        "forgot-password": {},
    }
    for path, body in requests.items():
        seen = []
        for email in (known, unknown):
            counting.calls = 0
            answer = await house.http.post(f"/api/v1/auth/{path}", json={"email": email, **body})
            seen.append((answer.status_code, answer.json() | {"correlation_id": ""}, counting.calls))
        assert seen[0] == seen[1], path
    assert counting.calls == 0, "forgetting hashes nothing for anybody"
