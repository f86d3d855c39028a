"""What a socket shows is what its token may see, whatever its person once could."""

import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.test_rooms import PIA, QUINN
from tests.serve.test_tablets import Practice, practice

__all__ = ["practice"]


async def answered(socket: ClientConnection, message: dict[str, Any], until: str) -> list[str]:
    """Everything that came up to the answer of this type."""
    await socket.send(json.dumps(message))
    seen: list[str] = []
    while not seen or json.loads(seen[-1])["t"] != until:
        seen.append(str(await socket.recv()))
    return seen


@pytest.mark.parametrize(
    ("role", "organization"), [("customer", CLINIC), ("front_desk", CLINIC), ("provider", OTHER_CLINIC)]
)
async def test_who_took_part_in_a_chart_and_has_left_sees_no_change_of_it(
    practice: Practice, role: str, organization: str
) -> None:
    async with practice.tablet(PIA) as pia, practice.tablet(QUINN) as quinn:
        ent = await practice.chart(pia)
        mine = pia.follow(f"user/{PIA}/documents")
        await quinn.command(ent, "set_field", {"name": "plan.area", "value": "brow"}, base_fver=0)
        token = practice.clinic.house.tokens.issue(PIA, (role,), (organization,))
        url = practice.url(path="/api/v1/live").partition("?")[0]
        async with connect(url) as socket:
            group = {"ch": f"user/{PIA}/documents"}
            await answered(socket, {"t": "hello", "v": [1, 1], "token": token, "subs": [group]}, "snapshot")
            for number in range(3):
                changed = await quinn.command(ent, "set_field", {"name": f"plan.n{number}", "value": "SECRET"})
                assert changed.status == "applied", changed
            await mine.until(
                lambda one: "plan.n2" in one.entities[ent].state["fields"] if ent in one.entities else False
            )
            late = await answered(socket, {"t": "subscribe", "id": 1, "ch": "room/unknown"}, "error")
            assert not any("SECRET" in frame or ent in frame for frame in late)
