"""What goes on inside one gateway's sockets and hub, counted when somebody asks: nothing is kept for it."""

from collections.abc import Mapping

import msgspec

from realtime.gateway import Gateway


class LiveFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Now, but for `resyncs`, `overflows` and `closed`, which are since the start.

    `pending`: changes held back while a state is being read. `waiting_bytes`: frames that sockets have not taken yet;
    `behind`: sockets that get the newest state later in place of what they could not take. `resyncs`: entities read
    again because a version was missing; `overflows`: subscriptions begun anew because too much was pending.
    `closed`: sockets by close code, 0 for those that went by themselves.
    """

    entity_channels: int
    group_channels: int
    subscriptions: int
    entities: int
    pending: int
    waiting_bytes: int
    behind: int
    resyncs: int
    overflows: int
    closed: Mapping[int, int]


def live_figures(live: Gateway) -> LiveFigures:
    hub = live.services.hub
    channels, feeds = hub.table.channels.values(), hub.table.feeds.values()
    subs = [sub for channel in channels for sub in channel.subs.values()]
    outboxes = [session.connection.outbox for session in live.sessions()]
    groups = sum(channel.ref is None for channel in channels)
    return LiveFigures(
        entity_channels=len(channels) - groups,
        group_channels=groups,
        subscriptions=len(subs),
        entities=len(feeds),
        pending=sum(len(sub.pending or ()) for sub in subs) + sum(len(feed.waiting) for feed in feeds),
        waiting_bytes=sum(outbox.waiting_bytes for outbox in outboxes),
        behind=sum(outbox.behind for outbox in outboxes),
        resyncs=hub.table.resyncs,
        overflows=hub.overflows,
        closed=dict(live.closed),
    )
