"""Who asks in the access policy's walk: every role, at the organization that has the thing, and at another one."""

from typing import Final, NamedTuple

from actors.runtime.entity import Actor
from domain.ids import new_id
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import ADMIN, ALICE, BOB, COURIER, MERCHANT, OTHER_MERCHANT, House

OWN: Final = (MERCHANT, CLINIC)
FOREIGN: Final = (OTHER_MERCHANT, OTHER_CLINIC)

COLUMNS: Final = (
    "nobody",
    "customer",
    "courier",
    "merchant_staff",
    "provider",
    "colleague",
    "front_desk",
    "organizer",
    "billing",
    "admin",
    "platform",
)
"""`provider` has the session and the document in question, `colleague` is another provider."""

_STAFF: Final = ("merchant_staff", "front_desk", "organizer", "billing", "admin")


class Person(NamedTuple):
    """`subject` "" has no token. `side`: own, foreign, or "" for whom there is no such difference."""

    column: str
    side: str
    subject: str = ""
    roles: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()

    @property
    def actor(self) -> Actor:
        return Actor(self.subject, self.roles, self.organizations)

    def headers(self, house: House) -> dict[str, str]:
        return house.bearer(self.subject, *self.roles, orgs=self.organizations) if self.subject else {}


PIA: Final = Person("provider", "own", new_id(), ("provider",), OWN)
QUINN: Final = Person("colleague", "own", new_id(), ("provider",), OWN)
ADA: Final = Person("admin", "own", new_id(), ("admin",), OWN)
STAFF: Final = Person("merchant_staff", "own", new_id(), ("merchant_staff",), OWN)
DESK: Final = Person("front_desk", "own", new_id(), ("front_desk",), OWN)
PLATFORM: Final = Person("platform", "", ADMIN, ("admin",))

PEOPLE: Final = (
    Person("nobody", ""),
    Person("customer", "own", ALICE, ("customer",)),
    Person("customer", "foreign", BOB, ("customer",)),
    Person("courier", "own", COURIER, ("courier",)),
    Person("courier", "foreign", new_id(), ("courier",)),
    PIA,
    Person("provider", "foreign", new_id(), ("provider",), FOREIGN),
    QUINN,
    STAFF,
    DESK,
    ADA,
    Person("organizer", "own", new_id(), ("organizer",), OWN),
    Person("billing", "own", new_id(), ("billing",), OWN),
    *(Person(role, "foreign", new_id(), (role,), FOREIGN) for role in _STAFF),
    PLATFORM,
)
