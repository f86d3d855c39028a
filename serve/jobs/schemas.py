"""Bodies and documentation of jobs."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.platform.schemas import Body, Moment, UuidText


class StartJob(Body):
    """`user_id` goes with `user_erasure`, `dry_run` with `retention`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "retention", "dry_run": True}, {"kind": "user_export"}]}
    )

    kind: Literal["user_export", "user_erasure", "retention"] = Field(
        description="`user_export`: one's own data. `user_erasure`, `retention`: by the platform's admins."
    )
    user_id: UuidText | None = None
    dry_run: bool | None = None


class Progress(BaseModel):
    """`step` names what is being done; left out before and after."""

    done: int
    total: int
    step: str | None = None


class Job(BaseModel):
    """`result` is there once it succeeded, `error` (the name of an error) when it failed or is tried again."""

    id: str
    kind: str
    status: str = Field(examples=["queued", "running", "succeeded", "failed", "cancelled"])
    progress: Progress
    attempts: int
    created_at: Moment
    due_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    cancelling: bool | None = Field(None, description="It was called off and has not looked yet.")
    user_id: str | None = Field(None, description="Whom it is about.")
    result: dict[str, Any] | None = None
    error: str | None = None
    download: str | None = Field(None, description="Where the file of an export is, for the person.")


class JobPage(BaseModel):
    items: list[Job]
    next_cursor: str | None = None
