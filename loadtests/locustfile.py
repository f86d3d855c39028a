"""Locust users of a running Atrium: providers' tablets, room boards, order trackers, and customers over HTTP.

    atrium up                                              # in another terminal
    make locust ARGS="--headless -u 50 -t 30s"             # or without --headless, for Locust's own page

The merchant, the clinic and the people are made when the test starts (`loadtests.world`).
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import msgspec
from locust import FastHttpUser, User, between, events, task
from locust.env import Environment

from domain.ids import new_id
from loadtests.blocking import LiveSocket
from loadtests.clinic import round_of
from loadtests.customer import PREFIX
from loadtests.world import Person, Post, World

DATA_FOLDER: Final = os.environ.get("ATRIUM_DATA_DIR", ".atrium")
PEOPLE: Final = 200
"""Of each sort; users beyond that share them."""
NOTES_OF_DOCUMENT: Final = 40
"""After so many the provider begins another patient's document."""
STEPS_OF_ORDER: Final = ("accepted", "preparing", "ready")


class _Ground:
    """The world, once it is there, and who is next in it."""

    def __init__(self) -> None:
        self.world: World
        self._numbers: defaultdict[type[User], count[int]] = defaultdict(count)

    def next(self, sort: type[User]) -> tuple[Post, Person, Person]:
        """A room, a provider and a customer; as long as there are any, no two of a sort get the same."""
        world, number = self.world, next(self._numbers[sort])
        return (
            world.posts[number % len(world.posts)],
            world.providers[number % len(world.providers)],
            world.customers[number % len(world.customers)],
        )


ground: Final = _Ground()


@events.init.add_listener  # type: ignore[untyped-decorator]
def make_world(environment: Environment, **_: Any) -> None:
    """Raises `CalledProcessError`: Atrium does not run on the data folder."""
    made = subprocess.run(
        [sys.executable, "-m", "loadtests.world", DATA_FOLDER, str(PEOPLE)], check=True, stdout=subprocess.PIPE
    )
    ground.world = msgspec.json.decode(made.stdout, type=World)
    environment.host = ground.world.base_url
    for user in environment.user_classes:
        user.host = ground.world.base_url


def _socket(user: User, path: str, token: str, endpoint: str) -> LiveSocket:
    url = ground.world.base_url.replace("http://", "ws://", 1) + PREFIX + path

    def report(name: str, milliseconds: float, error: Exception | None) -> None:
        user.environment.events.request.fire(
            request_type="WS",
            name=f"{endpoint}: {name}",
            response_time=milliseconds,
            response_length=0,
            exception=error,
            context={},
        )

    return LiveSocket(url, token, report)


def _bearer(person: Person) -> dict[str, str]:
    return {"authorization": f"Bearer {person.token}"}


class Tablet(User):
    """A provider with a room and a patient's document: moves the room along, and charts."""

    weight = 4
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        self.post, self.provider, _ = ground.next(type(self))
        path = f"/treatments/provider-sync?location={self.post.location_id}"
        self.socket = _socket(self, path, self.provider.token, "tablet")
        self.socket.snapshot()
        self.steps = self._steps()
        self._begin_document()

    def on_stop(self) -> None:
        self.socket.close()

    def _steps(self) -> Iterator[Any]:
        while True:
            yield from round_of(self.post.room_id)

    def _begin_document(self) -> None:
        self.document, self.notes = f"document/{new_id()}", 0
        site = {"organization_id": ground.world.organization_id, "location_id": self.post.location_id}
        self.socket.command(self.document, "create", **site, patient_id=new_id(), template="neurotoxin")

    @task(3)
    def move_room(self) -> None:
        step = next(self.steps)
        self.socket.command(step.ent, step.op, **step.args)

    @task(2)
    def note(self) -> None:
        if self.notes >= NOTES_OF_DOCUMENT:
            self._begin_document()
        self.notes += 1
        self.socket.command(self.document, "append_note", note_id=new_id(), text="Tolerated well.")

    @task(1)
    def fill_in(self) -> None:
        self.socket.command(self.document, "set_field", name=f"history.item_{self.notes}", value="none known")


class Board(User):
    """A screen in the corridor: shows the rooms of a location, and is switched off and on now and then."""

    weight = 2
    wait_time = between(5, 15)

    def on_start(self) -> None:
        self.post, self.provider, _ = ground.next(type(self))
        self._switch_on()

    def on_stop(self) -> None:
        self.socket.close()

    def _switch_on(self) -> None:
        path = f"/treatments/room-status?location={self.post.location_id}"
        self.socket = _socket(self, path, self.provider.token, "board")
        self.socket.snapshot()

    @task
    def off_and_on(self) -> None:
        self.socket.close()
        self._switch_on()


class Shopper(FastHttpUser):
    """A customer over HTTP: fills a cart and looks at it, now and then orders."""

    weight = 3
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        _, _, customer = ground.next(type(self))
        self.headers = _bearer(customer)
        self._new_cart()

    def _post(self, path: str, name: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        key = {"idempotency-key": new_id()}
        answer = self.client.post(PREFIX + path, name=name, json=body, headers={**(headers or self.headers), **key})
        return answer.json() if answer.status_code < 300 else {}

    def _new_cart(self) -> None:
        made = self._post("/carts/create", "/carts/create", {"merchant_id": ground.world.catalog.merchant_id})
        self.cart = made.get("id", "")

    def _add(self) -> None:
        items = ground.world.catalog.items
        body = {"product_id": items[int(time.time_ns()) % len(items)].id, "quantity": 1}
        self._post(f"/carts/{self.cart}/items", "/carts/{id}/items", body)

    def _order(self) -> Any:
        order = self._post("/orders/create", "/orders/create", {"cart_id": self.cart, "fulfilment": "collection"})
        self._new_cart()
        return order

    @task(8)
    def add(self) -> None:
        self._add()

    @task(4)
    def look(self) -> None:
        self.client.get(f"{PREFIX}/carts/{self.cart}", name="/carts/{id}", headers=self.headers)

    @task(1)
    def order(self) -> None:
        self._add()
        self._order()


class Tracker(Shopper):
    """A customer who orders, and follows the order while the merchant moves it along."""

    weight = 1
    wait_time = between(1, 3)

    @task(20)
    def track(self) -> None:
        self._add()
        order = self._order()
        if not order:
            return
        ent, token = f"order/{order['id']}", self.headers["authorization"].removeprefix("Bearer ")
        socket = _socket(self, f"/orders/{order['id']}/track", token, "tracker")
        try:
            socket.snapshot()
            for status in STEPS_OF_ORDER:
                self._move(socket, ent, status)
        finally:
            socket.close()

    def _move(self, socket: LiveSocket, ent: str, status: str) -> None:
        began = time.perf_counter()
        path = f"{PREFIX}/orders/{ent.partition('/')[2]}/status"
        headers = _bearer(ground.world.staff)
        answer = self.client.put(path, name="/orders/{id}/status", json={"status": status}, headers=headers)
        if answer.status_code < 300:
            socket.shown(ent, answer.json()["version"], began)
