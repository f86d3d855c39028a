"""The worked example of a new kind does what its page says."""

import contextlib
import io
from typing import Any

from tests.docs.pages import blocks, section

SECTION = section("docs/runtime.md", "## Worked example: a new kind")


async def test_the_worked_example_prints_what_its_page_says() -> None:
    kind, use = blocks(SECTION, "python")
    (expected,) = blocks(SECTION, "text")
    names: dict[str, Any] = {"__name__": "worked_example"}
    program = f"{kind}\n{use.replace('asyncio.run(main())', '')}"
    exec(compile(program, "docs/runtime.md", "exec"), names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        await names["main"]()
    assert printed.getvalue() == expected
