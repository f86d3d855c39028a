"""A provider who begins one treatment document after the other and writes into each, while the crowd shops."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

import httpx

from domain.ids import new_id
from loadtests.clinic import Clinic
from loadtests.customer import PREFIX

NOTE: Final = "Tolerated well. Cooled."
PAUSE_SECONDS: Final = 0.05


class Charting:
    """`sent` are documents by id, with the version that was acknowledged (0: not yet)."""

    def __init__(self, base_url: str, clinic: Clinic) -> None:
        headers = {"authorization": f"Bearer {clinic.token(new_id(), 'provider')}"}
        self.sent: dict[str, int] = {}
        self._clinic = clinic
        self._http = httpx.AsyncClient(base_url=base_url + PREFIX, headers=headers, timeout=30.0, trust_env=False)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._chart_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.rest()
        finally:
            await self._http.aclose()

    async def rest(self) -> None:
        """Begin nothing more, and wait for what has begun. Raises `httpx.HTTPStatusError` of what was refused."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _chart_on(self) -> None:
        while not self._stopping.is_set():
            document_id = new_id()
            self.sent[document_id] = 0
            chart = {
                "document_id": document_id,
                "organization_id": self._clinic.organization_id,
                "location_id": self._clinic.sites[0].location_id,
                "patient_id": new_id(),
            }
            self.sent[document_id] = await self._post("/documentation/face-chart", chart)
            self.sent[document_id] = await self._post(f"/documentation/{document_id}/notes", {"text": NOTE})
            await asyncio.sleep(PAUSE_SECONDS)

    async def _post(self, path: str, body: dict[str, Any]) -> int:
        answer = (await self._http.post(path, json=body)).raise_for_status()
        return int(answer.headers["etag"].strip('"'))
