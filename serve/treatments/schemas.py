"""Bodies of treatments over HTTP."""

from pydantic import ConfigDict, Field

from serve.documentation.schemas import Coordinate, Detail, Injected
from serve.platform.schemas import UuidText


class RecordInjection(Injected):
    """An injection that was performed: at a planned point (`point_id` alone), or at a place on the face map."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "document_id": "01a1fb4c-7c15-74e3-8f4e-6f5432c9b2ee",
                    "view": "front",
                    "x": 480,
                    "y": 210,
                    "product_id": "01a1fb4c-7c15-74e3-8f4e-6f5432c9b2ed",
                    "dose": "2.5",
                    "unit": "U",
                    "lot": "C1234",
                }
            ]
        }
    )

    document_id: UuidText
    point_id: UuidText | None = Field(None, description="With a place, default: a new one.")
    view: Detail | None = None
    x: Coordinate | None = None
    y: Coordinate | None = None
    technique: Detail = ""
    depth: Detail = ""
