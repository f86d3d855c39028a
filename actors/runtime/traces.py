"""The runtime's part of a trace: request → host → turn → commit → reaction, one below the other.

What is sampled is known by the trace behind its correlation id. Hosts, clients and tails without a tracer never
come here.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from actors.runtime.wire import COMMAND, FAILED, OK, READ, UNWATCH, WATCH, Envelope, Reply
from storage.journal.interface import NewRow
from storage.tracing.context import LINKS_MAX, Span, carrying, trace_of, within

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from storage.tracing.tracer import Tracer

Sink = Callable[[Reply], None]
Turn = Callable[["Cell", Envelope, Sink], None]

_MODES: Final = {COMMAND: "ask", READ: "read", WATCH: "watch", UNWATCH: "unwatch"}
_SERVER_ERROR: Final = 500


class _Tag(msgspec.Struct):
    type: str = ""


_tag = msgspec.msgpack.Decoder(_Tag)


class Entry(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def trace(self) -> str: ...


E = TypeVar("E", bound=Entry)


@contextmanager
def traced_request(tracer: "Tracer", parent: Span, env: Envelope) -> Iterator[None]:
    """What a client asks, from its queue to the answer; `env` carries the span to the host."""
    doing = _MODES.get(env.mode, "watch group")
    span = tracer.begin(
        f"{doing} {env.kind}".rstrip(), parent=parent.traceparent, kind="client", attributes=_entity(env)
    )
    if env.mode == COMMAND:
        span.note({"atrium.command": _tag.decode(env.body).type})
    env.correlation = carrying(env.correlation, span)
    with within(span):
        yield
        span.note({"atrium.retries": env.retry})


def traced_sink(tracer: "Tracer", env: Envelope, sink: Sink) -> Sink:
    """A request at its host: from its arrival until its reply may go."""
    name = f"host {_MODES.get(env.mode, 'watch')} {env.kind}"
    span = tracer.begin(name, parent=trace_of(env.correlation), kind="server", attributes=_entity(env))
    env.correlation = carrying(env.correlation, span)

    def replied(reply: Reply) -> None:
        failure = reply.failure if reply.status == FAILED else None
        span.note({"atrium.version": reply.version, "atrium.duplicate": reply.duplicate})
        if reply.status not in {OK, FAILED}:
            span.note({"atrium.outcome": "retry"})
        elif failure is not None:
            span.note({"atrium.outcome": failure.code})
        span.end(failure.code if failure is not None and failure.status >= _SERVER_ERROR else "")
        sink(reply)

    return replied


def traced_turns(tracer: "Tracer", turn: Turn) -> Turn:
    """Turns of sampled commands as spans, which their journal rows name."""

    def run(cell: "Cell", env: Envelope, sink: Sink) -> None:
        parent = trace_of(env.correlation)
        if not parent:
            turn(cell, env, sink)
            return
        span = tracer.begin(f"turn {cell.kind}", parent=parent, attributes=_entity(env))
        env.correlation = carrying(env.correlation, span)
        with within(span):
            turn(cell, env, sink)

    return run


def trace_commit(tracer: "Tracer", rows: Sequence[NewRow], began_ns: int) -> None:
    """One commit that many commands share: a span in the trace of each that is sampled, linked to the others."""
    traces = [trace for row in rows if (trace := trace_of(row.correlation))]
    ended_ns = time.time_ns()
    for trace in traces[: LINKS_MAX + 1]:
        others = [other for other in traces[: LINKS_MAX + 1] if other is not trace]
        span = tracer.begin(
            "commit", parent=trace, kind="client", attributes={"atrium.rows": len(rows)}, links=others, at_ns=began_ns
        )
        span.end(at_ns=ended_ns)


def traced_reaction(
    tracer: "Tracer", name: str, handle: Callable[[Sequence[E]], Awaitable[None]]
) -> Callable[[Sequence[E]], Awaitable[None]]:
    """A reaction that goes on in the trace of what it reacts to: sampled entries are handled one by one, in order."""

    async def run(entries: Sequence[E]) -> None:
        together: list[E] = []
        for entry in entries:
            if not entry.trace:
                together.append(entry)
                continue
            if together:
                await handle(together)
                together = []
            span = tracer.begin(f"react {name}", parent=entry.trace, kind="consumer", attributes=_entity(entry))
            with within(span):
                await handle([entry])
        if together:
            await handle(together)

    return run


def _entity(one: Any) -> dict[str, str | int | float | bool]:
    return {"atrium.kind": one.kind, "atrium.id": one.id}
