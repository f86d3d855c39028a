"""`python -m tests.protocol`: see README.md."""

import argparse
import asyncio
import shlex
import sys
from collections.abc import Mapping, Sequence

import msgspec
from websockets.exceptions import WebSocketException

from tests.protocol.client_runner import ClientRun
from tests.protocol.drivers import ProcessDriver
from tests.protocol.live import LiveServer
from tests.protocol.server_runner import ServerRun
from tests.protocol.vectors import client_vectors, server_vectors


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything that could be run fits, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.protocol", description="Conformance vectors of atrium.v1.")
    under_test = parser.add_mutually_exclusive_group(required=True)
    under_test.add_argument("--url", help="a server: ws://host:port")
    under_test.add_argument("--client", help="a client: the command that runs its driver")
    parser.add_argument("--token", default="", help="the same as --name token:alice=…")
    parser.add_argument(
        "--name", action="append", default=[], metavar="NAME=VALUE", help="a name of the server's world"
    )
    parser.add_argument("--patient", action="store_true", help="run what takes time, too")
    parser.add_argument("-k", default="", help="only vectors whose name has this in it")
    options = parser.parse_args(arguments)
    if options.client:
        found = asyncio.run(check_client(shlex.split(options.client), options.k))
    else:
        given = dict(one.split("=", 1) for one in options.name)
        if options.token:
            given["token:alice"] = options.token
        found = asyncio.run(check_server(options.url, given, options.k, patient=options.patient))
    for name, why in found.left_out.items():
        _say(f"left out  {name}: needs {why}")
    _say(f"{found.ran - len(found.failed)} of {found.ran} fit")
    return 1 if found.failed or not found.ran else 0


class Found(msgspec.Struct):
    """`failed` and `left_out` by name, with the reason."""

    ran: int = 0
    failed: dict[str, str] = {}
    left_out: dict[str, str] = {}

    async def run(self, one: ServerRun | ClientRun, name: str) -> None:
        self.ran += 1
        try:
            await one.play()
        except (AssertionError, OSError, WebSocketException) as error:
            self.failed[name] = str(error)
            _say(f"FAILED    {name}\n          {error}")
        else:
            _say(f"fits      {name}")


async def check_server(url: str, given: Mapping[str, str], only: str = "", *, patient: bool = False) -> Found:
    """Ids are new in each run, so that the vectors may be run again on the same server."""
    found = Found()
    for name, vector in server_vectors().items():
        if only not in name:
            continue
        missing = vector.needs() - set(given) - LiveServer(url, given, patient=patient).offers - {"subprotocol"}
        if missing:
            found.left_out[name] = ", ".join(sorted(missing))
            continue
        for encoding in vector.encodings:
            server = LiveServer(url, given, patient=patient)
            await found.run(ServerRun(vector, server, encoding), f"{name} ({encoding})")
    return found


async def check_client(command: Sequence[str], only: str = "") -> Found:
    found = Found()
    for name, vector in client_vectors().items():
        for encoding in vector.encodings if only in name else ():
            await found.run(ClientRun(vector, ProcessDriver(command), encoding), f"{name} ({encoding})")
    return found


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
