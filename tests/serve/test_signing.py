"""Signing over HTTP: what was read, by whom it was, proven just now; and the second signature (C1)."""

import pytest

from domain.ids import new_id
from tests.serve.charting import OLGA, PIA, QUINN, Charting
from tests.serve.clinic import CLINIC
from tests.serve.house import House


@pytest.fixture
async def charting(house: House) -> Charting:
    return await Charting(house).open()


async def test_what_is_signed_is_what_was_read(charting: Charting) -> None:
    await charting.patch({"a.b": {"value": 1}})
    await charting.post("/status", {"status": "ready"})
    body = await charting.signature()
    signed = (await charting.post("/sign", body)).json()
    (signature,) = signed["signatures"].values()
    assert (signed["status"], signature["by"], signature["content_hash"]) == ("signed", PIA, body["content_hash"])
    assert signed["content_hash"] == body["content_hash"]
    late = await charting.patch({"a.b": {"value": 2, "base_version": 2}})
    assert (late.status_code, late.json()["code"]) == (409, "document_signed")
    amended = await charting.post("/addenda", {"text": "It was 2.", "reason": "typo"})
    assert (amended.json()["status"], amended.json()["fields"]["a.b"]["value"]) == ("amended", 1)


async def test_other_content_than_was_read_is_not_signed(charting: Charting) -> None:
    await charting.post("/status", {"status": "ready"})
    answer = await charting.post("/sign", await charting.signature(content_hash="0" * 64))
    assert (answer.status_code, answer.json()["code"]) == (409, "content_changed")
    assert answer.json()["current"] == (await charting.shown())["content_hash"]


async def test_a_signature_needs_a_proof_of_ones_own_from_just_now(charting: Charting) -> None:
    tokens, clock = charting.house.tokens, charting.house.clock
    await charting.post("/status", {"status": "ready"})
    stale = tokens.issue(PIA, ("provider",), (CLINIC,))
    clock.advance(seconds=301)
    login = clock.now_ms() // 1_000 - 400
    for proof in (
        "",
        "nonsense",
        stale,
        tokens.issue(QUINN, ("provider",), (CLINIC,)),
        tokens.issue(PIA, ("provider",), (CLINIC,), auth_time=login),
        tokens.issue(PIA, ("provider",), (CLINIC,), auth_time=0),
    ):
        answer = await charting.post("/sign", await charting.signature(proof=proof))
        assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required"), proof
    assert (await charting.shown())["status"] == "ready"
    missing = await charting.signature()
    del missing["proof"]
    assert (await charting.post("/sign", missing)).status_code == 403
    assert (await charting.post("/sign", await charting.signature())).status_code == 200


async def test_the_proof_is_kept_nowhere(charting: Charting) -> None:
    await charting.post("/status", {"status": "ready"})
    body = await charting.signature()
    assert (await charting.post("/sign", body)).status_code == 200
    history = await charting.send("GET", f"/documentation/{charting.document}/history", charting.pia)
    assert body["proof"] not in history.text
    assert body["proof"] not in repr(charting.house.gateway.audit_store.kept)  # type: ignore[attr-defined]
    assert body["proof"].encode() not in b"".join(row.payload for row in charting.house.store.rows)


async def test_a_repeat_with_a_newer_proof_is_the_same_signature(charting: Charting) -> None:
    await charting.post("/status", {"status": "ready"})
    key, body = {"Idempotency-Key": "s-1"}, await charting.signature()
    first = await charting.post("/sign", body, **key)
    charting.house.clock.advance(seconds=400)
    pia = charting.house.bearer(PIA, "provider", orgs=(CLINIC,))
    late = await charting.post("/sign", body, pia, **key)
    assert late.json()["code"] == "reauthentication_required"
    again = await charting.post("/sign", {**body, "proof": (await charting.signature())["proof"]}, pia, **key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = {**body, "proof": (await charting.signature())["proof"], "meaning": "Something else."}
    assert (await charting.post("/sign", other, pia, **key)).json()["code"] == "idempotency_key_reused"


async def test_an_open_conflict_blocks_the_signature(charting: Charting) -> None:
    await charting.patch({"a.b": {"value": 1}})
    await charting.patch({"a.b": {"value": 2}}, charting.quinn)
    await charting.post("/status", {"status": "ready"})
    answer = await charting.post("/sign", await charting.signature())
    assert (answer.status_code, answer.json()["code"]) == (409, "conflicts_open")


async def test_the_co_signer_is_somebody_else_and_finds_it_in_the_queue(charting: Charting) -> None:
    for cosigner in (None, QUINN, new_id()):
        body = {"needs_cosign": True} | ({} if cosigner is None else {"cosigner": cosigner})
        charting.house.clock.advance(seconds=1)
        charting.document = (await charting.made(**body))["id"]
        await charting.signed()

    async def queue(by: dict[str, str], query: str = "") -> list[str]:
        answer = await charting.send("GET", f"/documentation/cosign-queue{query}", by)
        assert answer.status_code == 200, answer.text
        return [one.get("cosigner", "") for one in answer.json()["items"]]

    assert await queue(charting.quinn) == [QUINN, ""]
    assert await queue(charting.quinn, f"?location={charting.location}&limit=1") == [QUINN]
    assert await queue(charting.pia) == []
    assert await queue(charting.stranger) == []
    assert (await charting.send("GET", "/documentation/cosign-queue", charting.desk)).status_code == 404
    named = await charting.post("/cosign", await charting.signature(QUINN), charting.quinn)
    assert (named.status_code, named.json()["code"]) == (403, "forbidden")
    found = await charting.send("GET", "/documentation/cosign-queue", charting.quinn)
    charting.document = found.json()["items"][1]["id"]
    own = await charting.post("/cosign", await charting.signature())
    assert (own.status_code, own.json()["code"]) == (403, "same_signer")
    done = await charting.post("/cosign", await charting.signature(QUINN), charting.quinn)
    assert (done.status_code, done.json()["status"]) == (200, "cosigned")
    charting.document = found.json()["items"][0]["id"]
    rejected = await charting.post("/reject-cosign", {"reason": "dose missing"}, charting.quinn)
    assert rejected.json()["status"] == "addendum_required"
    assert await queue(charting.quinn) == []
    back = await charting.post("/addenda", {"text": "2.5 U", "reason": "was missing"})
    assert back.json()["status"] == "pending_cosign"
    assert await queue(charting.quinn) == [QUINN]


async def test_a_stranger_learns_nothing_by_signing(charting: Charting) -> None:
    await charting.post("/status", {"status": "ready"})
    body = await charting.signature(OLGA)
    for path in ("/sign", "/cosign"):
        answer = await charting.post(path, body, charting.stranger)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
