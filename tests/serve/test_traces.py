"""One trace for one command: the gateway, the host, the turn, the commit and what follows from it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors.cart_commands import CompleteCheckout, Create
from actors.kinds import KINDS
from actors.runtime.entity import Actor
from actors.runtime.local import LOCAL_KEYS
from actors.runtime.tail import TailRunner
from domain.ids import new_id
from serve.live.observed import ObservedPort, SocketMetrics
from services.entities import CART
from services.hand_offs import HandOffs
from services.reactions import reactions
from storage.journal.memory import MemoryJournal
from storage.logs import trace_ids
from storage.tracing.context import within
from tests.serve.house import ALICE, BREAD, MERCHANT, House, open_house
from tests.serve.sockets import Tablets, live_clinic
from tests.serve.spans import Recorded, attributes
from tests.services.test_placement import ALICES, WANTED, Cursors, DyingEdge, EdgeDiedError, Topics, placements

TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
ABOVE = 0x00F067AA0BA902B7
SAMPLED = {"traceparent": f"00-{TRACE:032x}-{ABOVE:016x}-01"}
ADD = "POST /api/v1/carts/{cart_id}/items"


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def traced(recorded: Recorded) -> AsyncIterator[House]:
    async with open_house(tracer=recorded.tracer) as house:
        yield house


def correlations(house: House) -> list[str]:
    return [row.correlation for row in house.store.rows]


async def test_a_command_over_http_is_one_trace_from_its_callers_span_to_the_commit(
    traced: House, recorded: Recorded
) -> None:
    cart = await traced.new_cart()
    recorded.clear()
    answer = await traced.add(cart["id"], headers=SAMPLED)
    assert answer.status_code == 201, answer.text
    spans = recorded.of(TRACE)
    (commit,) = [span for span in spans if span.name == "commit"]
    assert recorded.way(commit) == ["commit", "turn cart", "host ask cart", "ask cart", ADD]
    (request,) = [span for span in spans if span.name == ADD]
    assert request.parent is not None
    assert request.parent.span_id == ABOVE
    assert attributes(request)["http.response.status_code"] == 201
    (asked,) = [span for span in spans if span.name == "ask cart"]
    assert attributes(asked)["atrium.command"] == "add_line"
    assert attributes(asked)["atrium.id"] == cart["id"]


async def test_a_callers_trace_that_is_not_sampled_leaves_nothing_behind(traced: House, recorded: Recorded) -> None:
    cart = await traced.new_cart()
    recorded.clear()
    unsampled = {"traceparent": f"00-{TRACE:032x}-{ABOVE:016x}-00", "X-Request-ID": "not-sampled-1"}
    await traced.add(cart["id"], headers=unsampled)
    assert recorded.spans == ()
    assert correlations(traced)[-1] == "not-sampled-1"


async def test_without_a_callers_trace_the_ratio_decides(recorded: Recorded) -> None:
    never = Recorded(ratio=0.0)
    async with open_house(tracer=never.tracer) as house:
        await house.new_cart()
        assert never.spans == ()
        await house.http.get("/livez", headers={"traceparent": "00-of-no-use"})
        assert never.spans == ()
    async with open_house(tracer=recorded.tracer) as house:
        await house.new_cart()
        assert recorded.named("POST /api/v1/carts/create")


async def test_a_refusal_is_in_the_trace_by_its_code_and_nothing_of_the_body_is(
    traced: House, recorded: Recorded
) -> None:
    cart = await traced.new_cart()
    recorded.clear()
    answer = await traced.add(cart["id"], headers={**traced.bearer(new_id()), **SAMPLED}, instructions="SECRET")
    assert answer.status_code == 404
    hosts = [span for span in recorded.of(TRACE) if span.name.startswith("host ")]
    assert {attributes(span)["atrium.outcome"] for span in hosts} == {"not_found"}
    assert "SECRET" not in repr([span.to_json() for span in recorded.spans])


async def test_the_correlation_id_is_shown_without_the_trace(traced: House, recorded: Recorded) -> None:
    cart = await traced.new_cart()
    answer = await traced.add(cart["id"], headers={"X-Request-ID": "request-0001", **SAMPLED})
    assert answer.headers["x-request-id"] == "request-0001"
    kept, _, trace = correlations(traced)[-1].partition(";")
    (turn,) = [span for span in recorded.of(TRACE) if span.name == "turn cart"]
    assert turn.context is not None
    assert (kept, trace) == ("request-0001", f"00-{TRACE:032x}-{turn.context.span_id:016x}-01")


async def test_commands_that_share_a_commit_are_linked_and_each_has_its_own_span_of_it(
    traced: House, recorded: Recorded
) -> None:
    async def create() -> None:
        with within(recorded.tracer.begin("somebody")):
            await traced.local.client.ask(CART, new_id(), Create("EUR"), actor=Actor(ALICE, ("customer",)))

    await asyncio.gather(create(), create())
    commits = recorded.named("commit")
    assert [attributes(span)["atrium.rows"] for span in commits] == [2, 2]
    turns = [span.context.span_id for span in recorded.named("turn cart") if span.context is not None]
    linked = [link.context.span_id for span in commits for link in span.links]
    assert sorted(linked) == sorted(turns)
    assert {recorded.way(span)[-1] for span in commits} == {"somebody"}


async def test_a_reaction_goes_on_in_the_trace_of_what_it_reacts_to(traced: House, recorded: Recorded) -> None:
    cart = await traced.new_cart()
    await traced.add(cart["id"])
    recorded.clear()
    edge = DyingEdge(traced.local.client, CompleteCheckout, executed=False)
    begun = recorded.tracer.root("edge that dies")
    assert begun is not None
    with within(begun), pytest.raises(EdgeDiedError):
        await placements(traced, edge).place(ALICES, cart["id"], WANTED)
    journal = MemoryJournal(traced.store)
    client = traced.local.client
    for reaction in reactions(placements(traced, client), HandOffs(client), Topics(), 1_000):
        runner = TailRunner(reaction, journal, Cursors(), KINDS, traced.clock, keys=LOCAL_KEYS, tracer=recorded.tracer)
        while await runner.step():
            pass
    assert traced.store.index["carts"][cart["id"]]["status"] == "converted"
    completed = [
        span for span in recorded.named("ask cart") if attributes(span)["atrium.command"] == "complete_checkout"
    ]
    assert recorded.way(completed[-1])[:3] == ["ask cart", "react checkout", "turn cart"]
    assert recorded.way(completed[-1])[-1] == "edge that dies"


@asynccontextmanager
async def on_sockets(house: House, recorded: Recorded) -> AsyncIterator[Tablets]:
    gateway = house.gateway
    metrics = SocketMetrics(gateway.gateway_id, gateway.kinds, gateway.registry)
    observed = ObservedPort(gateway.device_commands, metrics, recorded.tracer)
    async with live_clinic(house, port=observed) as (clinic, port):
        yield Tablets(clinic, port)


async def test_a_command_over_a_socket_is_one_trace_and_counted_by_its_outcome(
    traced: House, recorded: Recorded
) -> None:
    async with on_sockets(traced, recorded) as tablets:
        url = tablets.url(path="/api/v1/live")
        async with tablets.client(new_id(), url=url) as phone:
            await phone.connected()
            recorded.clear()
            ent = f"cart/{new_id()}"
            made = await phone.command(ent, "create", {"merchant_id": MERCHANT})
            assert made.status == "applied", made
            refused = await phone.command(ent, "add_line", {"product_id": BREAD, "quantity": -1})
            assert refused.status == "rejected", refused
            await phone.command(ent, "; DROP TABLE", {})
    (commit,) = recorded.named("commit")
    assert recorded.way(commit) == ["commit", "turn cart", "host ask cart", "ask cart", "command cart.create"]
    shown = traced.gateway.metrics.exposition().decode()
    sample = 'atrium_socket_commands_total{gateway="gateway-1",kind="%s",op="%s",outcome="%s"} 1.0'
    assert sample % ("cart", "create", "applied") in shown
    assert sample % ("cart", "add_line", "rejected") in shown
    assert sample % ("other", "other", "rejected") in shown
    assert "DROP" not in shown


def test_log_lines_within_a_span_name_it_and_others_do_not(recorded: Recorded) -> None:
    span = recorded.tracer.begin("work")
    with within(span):
        line = dict(trace_ids(None, "info", {"event": "something"}))
    assert line == {"event": "something", "trace_id": span.trace_id, "span_id": span.span_id}
    assert trace_ids(None, "info", {"event": "something"}) == {"event": "something"}
