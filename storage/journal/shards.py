"""How many shards there are, and how those without an owner are shared out."""

from collections.abc import Sequence
from typing import Final

SHARDS: Final = 256
"""For ever: a change would move every entity."""


def spread(free: Sequence[int], owners: Sequence[str], hosts: Sequence[str]) -> dict[str, list[int]]:
    """Which of the `free` shards each host gets, so that all hosts end as even as can be.

    The order of `hosts` decides ties.
    """
    held = {host: sum(owner == host for owner in owners) for host in hosts}
    given: dict[str, list[int]] = {host: [] for host in hosts}
    if not hosts:
        return given
    for shard in free:
        least = min(hosts, key=lambda host: held[host])
        given[least].append(shard)
        held[least] += 1
    return given
