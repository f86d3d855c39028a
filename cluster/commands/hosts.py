"""`atrium hosts`: change how many entity hosts there are, while it runs."""

import asyncio
from typing import Annotated

import typer

from cluster.console import DataOption, out, settings_with
from cluster.errors import ClusterError, NotFoundError
from cluster.running import joined, require_running

_SECONDS_MAX = 60.0


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Add and remove entity hosts.", no_args_is_help=True)
    group.command("add")(add)
    group.command("remove")(remove)
    app.add_typer(group, name="hosts")


def add(data: DataOption = None) -> None:
    """Add a host; shards move to it, warm."""
    settings = settings_with(data)
    with joined(settings, require_running(settings)) as plan:
        from actors.runtime.ray_cluster import add_host  # noqa: PLC0415 - see `joined`

        out.print(asyncio.run(add_host(plan.runtime)))


def remove(name: Annotated[str, typer.Argument(help="As `atrium status` shows it.")], data: DataOption = None) -> None:
    """Have a host hand over its shards, warm, and end. Returns when it is gone."""
    settings = settings_with(data)
    with joined(settings, require_running(settings)) as plan:
        from actors.runtime.ray_cluster import remove_host  # noqa: PLC0415 - see `joined`
        from cluster import rays  # noqa: PLC0415

        names = [report.name for report in rays.reports(plan)]
        if name not in names:
            raise NotFoundError(f"there is no host {name}; there are {', '.join(names)}")
        if len(names) == 1:
            raise ClusterError(f"{name} is the only host: nobody could take over its shards")
        try:
            asyncio.run(remove_host(plan.runtime, name, _SECONDS_MAX))
        except TimeoutError as error:
            raise ClusterError(f"{name} did not hand over in {_SECONDS_MAX:g} s; it goes on trying") from error
    out.print(f"{name} is gone")
