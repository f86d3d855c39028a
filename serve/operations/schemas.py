"""Documentation of operations."""

from pydantic import BaseModel

from serve.platform.schemas import Moment


class Part(BaseModel):
    name: str
    ok: bool
    essential: bool
    problem: str | None = None
    affects: list[str] | None = None


class Readiness(BaseModel):
    """`degraded` names what is away; without an essential part the gateway is not ready (503)."""

    ready: bool
    degraded: list[str]
    parts: list[Part]


class DeadLetter(BaseModel):
    """A journal row that a reaction gave up on."""

    id: str
    reaction: str
    entity: str
    version: int
    attempts: int
    error: str
    failed_at: Moment


class DeadLetterPage(BaseModel):
    items: list[DeadLetter]
    next_cursor: str | None = None
