"""Treatment documents over HTTP: charted, repeated, conflicting, listed, and unknown to strangers."""

import asyncio
from typing import Any

import msgspec
import pytest

from actors.runtime.entity import Actor
from domain.errors import NotFound
from domain.ids import new_id
from tests.serve.charting import DOSE, FOREIGN_TOXIN, HERE, PATIENT, PIA, QUINN, TOXIN, Charting
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House


@pytest.fixture
async def charting(house: House) -> Charting:
    return await Charting(house).open()


async def test_a_face_chart_is_made_with_its_points_and_reads_back(charting: Charting) -> None:
    point = new_id()
    made = await charting.made(
        visit_id="v-1",
        template="neurotoxin",
        points=[{**HERE, **DOSE, "planned": True, "point_id": point}, {**HERE, **DOSE}],
    )
    assert (made["status"], made["patient_id"], made["author"], made["template"]) == (
        *("draft", PATIENT, PIA),
        "neurotoxin",
    )
    assert len(made["points"]) == 2
    assert (made["points"][point]["plan"]["dose"], made["points"][point]["x"]) == ("2.5", 500)
    charting.document = made["id"]
    assert await charting.shown(charting.quinn) == made


async def test_a_face_chart_with_a_bad_point_leaves_nothing_behind(charting: Charting) -> None:
    before = len(charting.house.store.by_entity)
    for point, path, code in (
        ({**HERE, **DOSE, "x": 0, "y": 0}, "points.1.x", None),
        ({**HERE, **DOSE, "dose": "-1"}, "points.1.dose", None),
        ({**HERE, **DOSE, "product_id": new_id()}, "points.1.product_id", "unknown_product"),
        ({**HERE, **DOSE, "product_id": FOREIGN_TOXIN}, "points.1.product_id", "unknown_product"),
        ({**HERE, **DOSE, "unit": "drops"}, "points.1.unit", None),
    ):
        body = charting.chart(points=[{**HERE, "planned": True}, point])
        answer = await charting.send("POST", "/documentation/face-chart", charting.pia, body)
        assert answer.status_code == 422, answer.text
        error = answer.json()["errors"][0]
        assert error["path"] == path
        assert code is None or error["code"] == code
    assert len(charting.house.store.by_entity) == before


async def test_a_repeated_face_chart_is_the_same_document_with_the_same_points(charting: Charting) -> None:
    body = charting.chart(points=[{**HERE, "planned": True}, {**HERE, **DOSE}])
    key = {"Idempotency-Key": "chart-1"}
    first = await charting.send("POST", "/documentation/face-chart", charting.pia, body, **key)
    again = await charting.send("POST", "/documentation/face-chart", charting.pia, body, **key)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    assert first.headers["location"] == f"/api/v1/documentation/{first.json()['id']}"
    other = await charting.send("POST", "/documentation/face-chart", charting.pia, {**body, "patient_id": "p-2"}, **key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_location_of_another_organization_has_no_documents(charting: Charting) -> None:
    for location in (charting.elsewhere, new_id()):
        body = charting.chart(location_id=location)
        answer = await charting.send("POST", "/documentation/face-chart", charting.pia, body)
        assert answer.json()["errors"][0] == {
            "path": "location_id",
            "code": "unknown_location",
            "message": "The organization has no such location.",
        }
    body = charting.chart(organization_id=OTHER_CLINIC, location_id=charting.elsewhere)
    assert (await charting.send("POST", "/documentation/face-chart", charting.pia, body)).status_code == 404


async def test_fields_are_set_one_by_one_and_a_stale_one_becomes_a_conflict(charting: Charting) -> None:
    first = await charting.patch(
        {"skin.type": {"value": "III"}, "skin.dry": {"value": True}, "skin.age": {"value": 41}}
    )
    assert {one["status"] for one in first.json()["results"].values()} == {"applied"}
    fields = first.json()["document"]["fields"]
    assert [fields[name]["value"] for name in ("skin.type", "skin.dry", "skin.age")] == ["III", True, 41]
    seen = fields["skin.type"]["fver"]
    await charting.patch({"skin.type": {"value": "IV", "base_version": seen}}, charting.quinn)
    mixed = await charting.patch(
        {"skin.type": {"value": "II", "base_version": seen}, "skin.age": {"value": 42, "base_version": 4}}
    )
    results, document = mixed.json()["results"], mixed.json()["document"]
    assert (mixed.status_code, results["skin.type"]["status"], results["skin.type"]["current"]) == (
        200,
        "conflict",
        "IV",
    )
    assert document["open_conflicts"] == 1
    assert document["fields"]["skin.type"]["value"] == "IV"
    conflict = document["conflicts"][results["skin.type"]["conflict_id"]]
    assert (conflict["offered"]["value"], conflict["current"]["value"]) == ("II", "IV")
    resolve = {"value": "II", "reason": "looked again"}
    resolved = await charting.post(f"/conflicts/{results['skin.type']['conflict_id']}/resolve", resolve)
    assert (resolved.json()["open_conflicts"], resolved.json()["fields"]["skin.type"]["value"]) == (0, "II")


async def test_of_several_fields_a_refused_one_leaves_the_others_alone(charting: Charting) -> None:
    answer = await charting.patch({"a.b": {"value": "x" * 8_000}, "a.c": {"value": "bad\u0007"}})
    results = answer.json()["results"]
    assert (answer.status_code, results["a.b"]["status"], results["a.c"]["status"]) == (200, "applied", "rejected")
    assert results["a.c"]["errors"][0]["path"] == "a.c.value"
    refused = await charting.patch({"a.c": {"value": "bad\u0007"}})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "a.c.value")


async def test_a_repeat_of_several_fields_repeats_each(charting: Charting) -> None:
    fields, key = {"a.b": {"value": 1}, "a.c": {"value": 2}}, {"Idempotency-Key": "k-1"}
    first = await charting.patch(fields, **key)
    await charting.patch({"a.b": {"value": 9, "base_version": first.json()["document"]["fields"]["a.b"]["fver"]}})
    again = await charting.patch(fields, **key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["results"] == first.json()["results"]
    assert again.json()["document"]["fields"]["a.b"]["value"] == 9


async def test_a_stale_version_of_the_whole_document_changes_nothing(charting: Charting) -> None:
    answer = await charting.patch({"a.b": {"value": 1}, "a.c": {"value": 2}}, **{"If-Match": '"7"'})
    assert (answer.status_code, answer.json()["current_version"]) == (412, 1)
    current = await charting.patch({"a.b": {"value": 1}, "a.c": {"value": 2}}, **{"If-Match": '"1"'})
    assert (current.status_code, current.headers["etag"]) == (200, '"3"')


async def test_points_are_planned_performed_and_struck(charting: Charting) -> None:
    planned = (await charting.post("/points", {**HERE, "planned": True})).json()
    (point,) = planned["points"]
    path = f"/documentation/{charting.document}/points/{point}"
    dosed = await charting.send("PATCH", path, charting.pia, {"dose": "4", "unit": "U"})
    assert dosed.json()["points"][point]["plan"] == {"dose": "4", "unit": "U"}
    performed = await charting.post(f"/points/{point}/perform", DOSE)
    assert performed.json()["points"][point]["injection"]["dose"] == "2.5"
    other = await charting.post(f"/points/{point}/perform", {**DOSE, "dose": "3"}, charting.quinn)
    assert (other.status_code, other.json()["code"]) == (409, "conflict_recorded")
    assert other.json()["current"]["dose"] == "2.5"
    value = {**DOSE, "dose": "3"}
    conflict = other.json()["conflict_id"]
    resolved = await charting.post(f"/conflicts/{conflict}/resolve", {"value": value, "reason": "seen on video"})
    assert resolved.json()["points"][point]["injection"]["dose"] == "3"
    struck = await charting.post(f"/points/{point}/strike", {"reason": "wrong patient"})
    assert struck.json()["points"][point]["struck"]["reason"] == "wrong patient"
    assert (await charting.post(f"/points/{new_id()}/strike", {"reason": "x"})).json()["code"] == "unknown_point"


async def test_an_injection_over_treatments_is_a_point_of_the_document(charting: Charting) -> None:
    key = {"Idempotency-Key": "i-1"}
    body = {"document_id": charting.document, **HERE, **DOSE}
    first = await charting.send("POST", "/treatments/injectable", charting.pia, body, **key)
    again = await charting.send("POST", "/treatments/injectable", charting.pia, body, **key)
    assert (first.status_code, again.json(), len(first.json()["points"])) == (201, first.json(), 1)
    planned = (await charting.post("/points", {**HERE, "planned": True})).json()
    point = next(key for key, one in planned["points"].items() if "plan" in one)
    body = {"document_id": charting.document, "point_id": point, **DOSE}
    done = await charting.send("POST", "/treatments/injectable", charting.pia, body)
    assert done.json()["points"][point]["injection"]["lot"] == "C1234"
    shown = await charting.send("GET", f"/treatments/{charting.document}", charting.quinn)
    assert shown.json() == await charting.shown()
    nowhere = await charting.send("POST", "/treatments/injectable", charting.pia, {**body, "point_id": None})
    assert {error["path"] for error in nowhere.json()["errors"]} == {"view", "x", "y"}
    mixed = await charting.send("POST", "/treatments/injectable", charting.pia, {**body, "depth": "dermal"})
    assert mixed.json()["errors"][0]["path"] == "depth"


async def test_notes_containers_wastage_and_photos_are_kept(charting: Charting) -> None:
    vial = {"container_id": "v-1", "product_id": TOXIN, "amount": "100", "unit": "U", "expires_on": "2030-01-31"}
    photo = {
        "view": "front",
        "sha256": "ab" * 32,
        "media_type": "image/jpeg",
        "bytes": 1_000,
        "taken_at": "2026-03-01T09:00:00Z",
    }
    for path, body in (
        ("/notes", {"text": "Ice applied.", "section": "aftercare"}),
        ("/containers", vial),
        ("/wastage", {"container_id": "v-1", "amount": "5", "unit": "U", "reason": "end of the day"}),
        ("/photos", photo),
    ):
        key = {"Idempotency-Key": "same"}
        first, again = await charting.post(path, body, **key), await charting.post(path, body, **key)
        assert (first.status_code, again.json()) == (200, first.json()), first.text
    shown = await charting.shown()
    assert [len(shown[name]) for name in ("notes", "containers", "wastage", "photos")] == [1, 1, 1, 1]
    unknown = await charting.post("/containers", {**vial, "container_id": "v-2", "product_id": new_id()})
    assert unknown.json()["errors"][0]["code"] == "unknown_product"


async def test_a_product_that_is_sold_no_more_was_injected_all_the_same(charting: Charting) -> None:
    product = charting.house.catalog.products_by_id[TOXIN]
    charting.house.catalog.products_by_id[TOXIN] = msgspec.structs.replace(product, active=False)
    assert (await charting.post("/points", {**HERE, **DOSE})).status_code == 200


async def test_a_foreign_document_looks_unknown_everywhere(charting: Charting) -> None:
    point, some = new_id(), new_id()
    asked: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("GET", "/history", None),
        ("PATCH", "/fields", {"fields": {"a.b": {"value": 1}}}),
        ("POST", "/points", {**HERE, **DOSE}),
        ("PATCH", f"/points/{point}", {"lot": "x"}),
        ("POST", f"/points/{point}/perform", DOSE),
        ("POST", f"/points/{point}/strike", {"reason": "x"}),
        ("POST", "/notes", {"text": "x"}),
        ("POST", "/containers", {"container_id": "v", "product_id": TOXIN, "amount": "1", "unit": "U"}),
        ("POST", "/wastage", {"container_id": "v", "amount": "1", "unit": "U", "reason": "x"}),
        ("POST", "/status", {"status": "ready"}),
        ("POST", "/reject-cosign", {"reason": "x"}),
        ("POST", "/addenda", {"text": "x", "reason": "x"}),
        ("POST", "/entered-in-error", {"reason": "x"}),
        ("POST", f"/conflicts/{some}/resolve", {"value": "x", "reason": "x"}),
    ]
    nobody = charting.house.bearer(PIA, "provider")
    for headers in (charting.stranger, charting.desk, nobody, charting.house.bearer()):
        for method, path, body in asked:
            for document in (charting.document, new_id()):
                answer = await charting.send(method, f"/documentation/{document}{path}", headers, body)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
        assert (await charting.send("GET", f"/treatments/{charting.document}", headers)).status_code == 404
    assert (await charting.shown())["version"] == 1


async def test_an_admin_reads_and_does_not_chart(charting: Charting) -> None:
    assert (await charting.shown(charting.admin))["id"] == charting.document
    assert (await charting.post("/notes", {"text": "x"}, charting.admin)).status_code == 403
    wrong = await charting.post("/entered-in-error", {"reason": "wrong patient"}, charting.admin)
    assert wrong.json()["status"] == "entered_in_error"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/points", {**HERE, **DOSE, "x": "500"}, "x"),
        ("/points", {**HERE, **DOSE, "x": 1_001}, "x"),
        ("/points", {**HERE, **DOSE, "dose": 2.5}, "dose"),
        ("/points", {**HERE, **DOSE, "point_id": "one"}, "point_id"),
        ("/points", {**HERE, **DOSE, "by": QUINN}, "by"),
        ("/notes", {"text": ""}, "text"),
        ("/notes", {"text": "x" * 8_001}, "text"),
        ("/notes", {"text": "a\u0000b"}, "text"),
        ("/status", {"status": "signed"}, "status"),
        ("/addenda", {"text": "x", "reason": " "}, "reason"),
        (
            "/photos",
            {"view": "front", "sha256": "x", "media_type": "image/jpeg", "bytes": 1, "taken_at": "now"},
            "sha256",
        ),
    ],
)
async def test_a_malformed_body_is_refused_with_its_field(charting: Charting, path, body, field) -> None:
    answer = await charting.post(path, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == field


async def test_field_names_and_values_are_checked(charting: Charting) -> None:
    for fields in ({"Bad Name": {"value": 1}}, {"a.b": {"value": 2.5}}, {"a.b": {"value": None}}, {}, {"a.b": {}}):
        assert (await charting.patch(fields)).status_code == 422
    huge = await charting.patch({"a.b": {"value": 2**53}})
    assert huge.status_code == 422
    many = await charting.patch({f"a.f{n}": {"value": "x"} for n in range(501)})
    assert many.status_code == 422
    assert (await charting.post("/notes", {"text": "x" * 1_100_000})).status_code == 413


async def test_documents_are_listed_by_patient_location_and_status(charting: Charting) -> None:
    charting.house.clock.advance(seconds=1)
    second = await charting.made(patient_id="p-2")
    charting.house.clock.advance(seconds=1)
    third = await charting.made()

    async def ids(query: str, by: dict[str, str] | None = None) -> list[str]:
        answer = await charting.send("GET", f"/documentation{query}", by or charting.quinn)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    assert await ids("") == [third["id"], second["id"], charting.document]
    assert await ids(f"?patient={PATIENT}") == [third["id"], charting.document]
    assert await ids(f"?location={charting.location}&status=draft,ready&patient=p-2") == [second["id"]]
    assert await ids("?status=signed") == []
    assert await ids(f"?patient={PATIENT}", charting.stranger) == []
    page = (await charting.send("GET", "/documentation?limit=2", charting.quinn)).json()
    assert await ids(f"?limit=2&cursor={page['next_cursor']}") == [charting.document]
    assert set(page["items"][0]) == {
        *("id", "version", "organization_id", "location_id", "patient_id", "template", "status", "author"),
        *("conflicts_count", "alerts_count", "created_at", "updated_at"),
    }
    for query, status in (("?location=" + charting.elsewhere, 404), ("?status=lost", 422), ("?by=me", 422)):
        assert (await charting.send("GET", f"/documentation{query}", charting.quinn)).status_code == status
    for headers in (charting.desk, charting.house.bearer(), charting.house.bearer(PIA, "provider")):
        assert (await charting.send("GET", "/documentation", headers)).status_code == 404


async def test_the_history_has_everything_in_order_with_its_times(charting: Charting) -> None:
    charting.house.clock.advance(seconds=5)
    await charting.patch({"a.b": {"value": 1}}, charting.quinn)
    await charting.post("/points", {**HERE, **DOSE})
    items = (await charting.send("GET", f"/documentation/{charting.document}/history", charting.admin)).json()["items"]
    kinds = [one["type"] for one in items]
    assert (kinds[0], [one for one in kinds if one in {"register_set", "point_added"}]) == (
        "created",
        ["register_set", "point_added"],
    )
    set_ = items[kinds.index("register_set")]
    assert (set_["by"], set_["details"]) == (QUINN, {"register": "a.b", "value": 1})
    assert set_["at"] == set_["recorded_at"] == "2026-03-01T09:30:05.000Z"
    added = items[kinds.index("point_added")]
    assert added["details"]["injection"]["dose"] == "2.5"


async def test_a_group_that_is_only_compared_again_leaves_no_trail(charting: Charting) -> None:
    gateway, quinn = charting.house.gateway, Actor(QUINN, ("provider",), (CLINIC,))
    here = f"location/{charting.location}/documents"
    assert await gateway.groups.members(here, quinn)
    before = len(await charting.trail())
    assert await gateway.groups.members(here, quinn, again=True) == await gateway.groups.members(here, quinn)
    assert len(await charting.trail()) == before + 2  # the search and the document of the one list that was shown


async def test_groups_of_documents_are_for_those_who_may_see_them(charting: Charting) -> None:
    groups = charting.house.gateway.groups
    pia, quinn = Actor(PIA, ("provider",), (CLINIC,)), Actor(QUINN, ("provider",), (CLINIC,))
    here = f"location/{charting.location}/documents"
    assert await groups.members(here, quinn) == [("document", charting.document)]
    assert await groups.members(f"user/{QUINN}/documents", quinn) == []
    await charting.post("/notes", {"text": "x"}, charting.quinn)
    assert await groups.members(f"user/{QUINN}/documents", quinn) == [("document", charting.document)]
    assert await groups.members(f"location/{charting.location}/cosign", pia) == []
    assert await groups.members(f"user/{PIA}/documents", Actor(PIA, ("provider",))) == []
    await charting.signed()
    assert await groups.members(here, quinn) == []
    desk = Actor("f", ("front_desk",), (CLINIC,))
    for group, actor in (
        (here, desk),
        (here, Actor("x", ("provider",), (OTHER_CLINIC,))),
        (f"location/{new_id()}/documents", pia),
        (f"user/{QUINN}/documents", pia),
        (f"merchant/{CLINIC}/documents", pia),
        (f"location/{charting.elsewhere}/cosign", pia),
    ):
        with pytest.raises(NotFound):
            await groups.members(group, actor)


async def test_of_many_who_set_a_field_at_once_one_is_applied_and_the_others_are_conflicts(charting: Charting) -> None:
    people = [charting.house.bearer(new_id(), "provider", orgs=(CLINIC,)) for _ in range(6)]
    answers = await asyncio.gather(*(charting.patch({"a.b": {"value": n}}, by) for n, by in enumerate(people)))
    statuses = sorted(answer.json()["results"]["a.b"]["status"] for answer in answers)
    assert statuses == ["applied", *["conflict"] * 5]
    assert (await charting.shown())["open_conflicts"] >= 1
