"""What `/readyz` says, asked several times a second on a connection of its own each time."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

EVERY_SECONDS: Final = 0.2
ANSWER_SECONDS_MAX: Final = 2.0


class Readiness:
    """`async with Readiness(url) as readiness:` asks until the block ends; `said` has each answer once, in order."""

    def __init__(self, base_url: str) -> None:
        self.said: list[str] = []
        self._url = urlsplit(base_url)._replace(path="/readyz").geturl()
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._asking = asyncio.get_running_loop().create_task(self._ask_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask_on(self) -> None:
        while True:
            text = await self._ask()
            if text not in self.said:
                self.said.append(text)
            await asyncio.sleep(EVERY_SECONDS)

    async def _ask(self) -> str:
        try:
            async with httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False) as client:
                answer = await client.get(self._url)
        except httpx.HTTPError:
            return "no answer"
        return describe(answer)


def describe(answer: httpx.Response) -> str:
    """`200`, `200 without redis`, `503 without database, entities`, or the bare status of an answer not ours."""
    try:
        document: Any = answer.json()
        degraded = ", ".join(document["degraded"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
    return f"{answer.status_code} without {degraded}" if degraded else str(answer.status_code)
