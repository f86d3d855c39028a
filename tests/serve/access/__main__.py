"""Write the tables of `docs/access.md` anew from what the code does. Each difference is a change of policy: read it."""

import asyncio

import structlog

from tests.serve.access.page import SECTIONS, write_table, written
from tests.serve.access.permissions import TABLES
from tests.serve.access.walk import walk


async def _write() -> None:
    for heading, (head, rows) in TABLES.items():
        write_table(heading, head, rows)
    for section, (_, probes) in SECTIONS.items():
        written(section, {name: await walk(section, name, {}) for name in probes})


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(_write())
