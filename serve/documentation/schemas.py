"""Bodies and queries of treatment documents over HTTP."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from actors.document_facts import MEDIA_TYPES
from actors.document_status import DocumentStatus
from actors.document_values import (
    DETAIL_LENGTH_MAX,
    FIELDS_MAX,
    MEANING_LENGTH_MAX,
    NUMBER_MAX,
    PHOTO_BYTES_MAX,
    PRINTED_NAME_LENGTH_MAX,
    REASON_LENGTH_MAX,
    TEMPLATE_LENGTH_MAX,
    TITLE_LENGTH_MAX,
    VALUE_LENGTH_MAX,
)
from domain.face_map import SCALE
from domain.text import ID_LENGTH_MAX
from serve.platform.schemas import Body, PageQuery, UuidText

CHART_POINTS_MAX = 200
"""Points of one face chart as it is posted; more are added one by one."""
PROOF_LENGTH_MAX = 8_192

Reference = Annotated[str, StringConstraints(min_length=1, max_length=ID_LENGTH_MAX)]
Detail = Annotated[str, StringConstraints(max_length=DETAIL_LENGTH_MAX)]
Dose = Annotated[
    str,
    StringConstraints(max_length=32),
    Field(description="Decimal text, at most three decimals.", examples=["2.5"]),
]
Unit = Annotated[str, StringConstraints(max_length=8), Field(description="`U` or `mL`.", examples=["U"])]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=REASON_LENGTH_MAX, pattern=r"\S")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=VALUE_LENGTH_MAX, pattern=r"\S")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,63}$"), Field(description="`section.field`.")]
Number = Annotated[int, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)]
FieldText = Annotated[str, StringConstraints(max_length=VALUE_LENGTH_MAX)]
Scalar = bool | Number | FieldText
BaseVersion = Annotated[
    int, Field(ge=0, le=NUMBER_MAX, description="`fver` of the register as you saw it; 0: it had no value.")
]
Coordinate = Annotated[int, Field(ge=0, le=SCALE, description="Thousandths of the view.")]
Status = Annotated[DocumentStatus, Field(strict=False)]


_DOSE: dict[str, JsonValue] = {"dose": "2.5", "unit": "U", "lot": "C1234"}
_INJECTED: dict[str, JsonValue] = {"product_id": "01a1fb4c-7c15-74e3-8f4e-6f5432c9b2ed", **_DOSE}
_POINT: dict[str, JsonValue] = {"view": "front", "x": 480, "y": 210}


class Injected(Body):
    """What was injected at a point."""

    model_config = ConfigDict(json_schema_extra={"examples": [_INJECTED]})

    product_id: Reference
    dose: Dose
    unit: Unit
    lot: Detail = ""
    container_id: Annotated[str, StringConstraints(max_length=ID_LENGTH_MAX)] = ""


class Point(Body):
    """A planned point, or (`planned` false) an injection that was performed: then product, dose and unit are required.

    A dose goes with its unit.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{**_POINT, **_INJECTED}, {**_POINT, "planned": True}]})

    point_id: UuidText | None = Field(None, description="Default: a new one.")
    view: Detail
    x: Coordinate
    y: Coordinate
    product_id: Annotated[str, StringConstraints(max_length=ID_LENGTH_MAX)] = ""
    dose: Dose = ""
    unit: Unit = ""
    lot: Detail = ""
    container_id: Annotated[str, StringConstraints(max_length=ID_LENGTH_MAX)] = ""
    technique: Detail = ""
    depth: Detail = ""
    planned: bool = False


class CreateFaceChart(Body):
    """A treatment document with a face chart. `cosigner` goes only with `needs_cosign`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "organization_id": "6ad8cdb1-6034-8ff0-9847-1b3b041c5292",
                    "location_id": "01a1fb4c-7b98-7494-b268-e11bde0a1d6f",
                    "patient_id": "01a1fb4c-7b98-7494-b268-e11bde0a1d70",
                    "template": "neurotoxin",
                    "points": [{**_POINT, "planned": True}],
                }
            ]
        }
    )

    document_id: UuidText | None = Field(None, description="Default: a new one.")
    organization_id: UuidText
    location_id: UuidText
    patient_id: Reference
    visit_id: Annotated[str, StringConstraints(max_length=ID_LENGTH_MAX)] = ""
    template: Annotated[str, StringConstraints(min_length=1, max_length=TEMPLATE_LENGTH_MAX)] = "face_chart"
    title: Annotated[str, StringConstraints(max_length=TITLE_LENGTH_MAX)] = ""
    needs_cosign: bool = False
    cosigner: UuidText | None = None
    points: list[Point] = Field([], max_length=CHART_POINTS_MAX)


class DocumentList(PageQuery):
    """`status` may name several, separated by commas."""

    patient: str = Field("", max_length=ID_LENGTH_MAX)
    location: UuidText | None = None
    status: str = Field("", max_length=200, examples=["draft,ready"])


class CosignQueue(PageQuery):
    location: UuidText | None = None


class FieldEdit(Body):
    value: Scalar
    base_version: BaseVersion = 0


class SetFields(Body):
    """Registers by name. Each is set by itself: one that is stale or refused leaves the others alone."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"fields": {"assessment.notes": {"value": "No bruising.", "base_version": 4}}}]}
    )

    fields: dict[FieldName, FieldEdit] = Field(min_length=1, max_length=FIELDS_MAX)


class SetPlan(Body):
    """One property of a planned point: exactly one of them; a dose goes with its unit."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dose": "4", "unit": "U", "base_version": 3}]})

    product_id: Annotated[str, StringConstraints(max_length=ID_LENGTH_MAX)] | None = None
    dose: Dose | None = None
    unit: Unit | None = None
    lot: Detail | None = None
    container_id: Annotated[str, StringConstraints(max_length=ID_LENGTH_MAX)] | None = None
    technique: Detail | None = None
    depth: Detail | None = None
    base_version: BaseVersion = 0


class Strike(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "wrong side"}]})

    reason: Reason


class AppendNote(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Ice applied.", "section": "aftercare"}]})

    note_id: UuidText | None = Field(None, description="Default: a new one.")
    text: Text
    section: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_.]{0,63})?$")] = ""


class OpenContainer(Body):
    """A vial or syringe that this treatment draws from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "container_id": "v-1",
                    "product_id": "01a1fb4c-7c15-74e3-8f4e-6f5432c9b2ed",
                    "amount": "100",
                    "unit": "U",
                    "lot": "C1234",
                    "expires_on": "2027-03-31",
                }
            ]
        }
    )

    container_id: Reference
    product_id: Reference
    amount: Dose
    unit: Unit
    lot: Detail = ""
    expires_on: str = Field("", pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")
    single_dose: bool = False


class RecordWastage(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"container_id": "v-1", "amount": "5", "unit": "U", "reason": "end of the day"}]
        }
    )

    wastage_id: UuidText | None = Field(None, description="Default: a new one.")
    container_id: Reference
    amount: Dose
    unit: Unit
    reason: Reason


class AttachPhoto(Body):
    """A reference to a photo that is stored elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "view": "front",
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "media_type": "image/jpeg",
                    "bytes": 2_481_233,
                    "taken_at": "2026-03-01T09:30:00.250Z",
                }
            ]
        }
    )

    photo_id: UuidText | None = Field(None, description="Default: a new one.")
    view: Detail
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    media_type: str = Field(max_length=100, description=", ".join(MEDIA_TYPES))
    bytes: int = Field(ge=1, le=PHOTO_BYTES_MAX)
    taken_at: str = Field(max_length=40, description="RFC 3339.")


class SetDocumentStatus(Body):
    """`draft` to `ready` and back. `from`, if given, must be the current status."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready", "from": "draft"}]})

    status: Literal["draft", "ready"]
    from_: Status | None = Field(None, alias="from")


class SignDocument(Body):
    """`content_hash` is that of the document as you read it; `proof` an access token of yours from a login just now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "printed_name": "Pia Provider, RN",
                    "meaning": "I performed this treatment.",
                    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "proof": "eyJhbGciOiJSUzI1NiIs…",
                }
            ]
        }
    )

    printed_name: str = Field(min_length=1, max_length=PRINTED_NAME_LENGTH_MAX, pattern=r"\S")
    meaning: str = Field(min_length=1, max_length=MEANING_LENGTH_MAX, pattern=r"\S")
    content_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    proof: str = Field("", max_length=PROOF_LENGTH_MAX)


class GiveReason(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The dose at the brow is missing."}]})

    reason: Reason


class AddAddendum(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "The lot was C1235.", "reason": "transcription error"}]}
    )

    addendum_id: UuidText | None = Field(None, description="Default: a new one.")
    text: Text
    reason: Reason


class ResolveConflict(Body):
    """One of the conflict's two values, or a third; what was injected at a point is given whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"value": "2.5 U", "reason": "as in the plan", "base_version": 7}]}
    )

    value: Scalar | Injected
    reason: Reason
    base_version: BaseVersion = 0
