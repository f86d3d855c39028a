"""What the server has, read over HTTP as anybody of the clinic can; and who owns what, read from the shard map."""

from typing import Any, Final

import asyncpg

from actors.runtime.shards import shard_of
from cluster.demo.tablets.evidence import CHART, QUARANTINE, ROOM, Event
from realtime.client.http import HttpClient

_OWNER: Final = "SELECT host FROM shards WHERE shard = $1"
_EVENT: Final = frozenset({"type", "by", "device"})


class Server:
    """Reads with one person's token. Everything raises `HttpError`."""

    def __init__(self, client: HttpClient, token: str) -> None:
        self._client = client
        self._token = token

    async def get(self, path: str) -> Any:
        answer = await self._client.send("GET", f"/api/v1{path}", token=self._token)
        return answer.expect().json()

    async def chart_events(self, document_id: str) -> list[Event]:
        items = (await self.get(f"/documentation/{document_id}/history"))["items"]
        return [_event(CHART, item, item.get("details", {})) for item in items]

    async def room_events(self, room_id: str) -> list[Event]:
        items = (await self.get(f"/rooms/{room_id}/history?limit=100"))["items"]
        return [_event(ROOM, item, {name: item[name] for name in item.keys() - _EVENT}) for item in reversed(items)]

    async def quarantined(self, session_id: str) -> list[Event]:
        """The commands that wait in a session, with their content: reading that is in the audit trail."""
        items = (await self.get(f"/sessions/{session_id}/quarantine"))["items"]
        found = [await self.get(f"/sessions/{session_id}/quarantine/{item['id']}") for item in items]
        return [
            Event(
                where=QUARANTINE,
                type=one["command"]["op"],
                by=one["by"],
                device=one["device"],
                details=one["command"]["args"],
            )
            for one in found
        ]


async def owner_of(database_url: str, kind: str, entity_id: str) -> str:
    """The host that owns an entity, "" for none."""
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(_OWNER, shard_of(kind, entity_id)) or ""
    finally:
        await connection.close()


def _event(where: str, item: dict[str, Any], details: dict[str, Any]) -> Event:
    return Event(where=where, type=item["type"], by=item["by"], device=item.get("device", ""), details=details)
