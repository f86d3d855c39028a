"""The Python client as a process, driven by lines of JSON: an example of what another language has to write."""

import asyncio
import json
import sys
from typing import Any

from tests.protocol.drivers import LiveClientDriver


async def main() -> None:
    driver = LiveClientDriver()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        ((verb, argument),) = json.loads(line).items()
        answer: Any = True
        if verb == "start":
            await driver.start(argument["url"], argument["encoding"], argument["tokens"])
        elif verb == "do":
            await driver.do(argument)
        else:
            answer = await driver.observe(argument)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await driver.stop()


if __name__ == "__main__":
    asyncio.run(main())
