"""What somebody is to a thing, and what nobody is to anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.parties import Party, is_known, is_oneself, is_system, parties, serves
from actors.runtime.entity import SYSTEM, Actor
from domain.ids import new_id
from domain.roles import ORGANIZATION_ROLES, ROLES, Role

ADA, BOB, HERE, THERE, ORDER = (new_id() for _ in range(5))
AT_ORGANIZATION = {
    Role.MERCHANT_STAFF: Party.MERCHANT,
    Role.PROVIDER: Party.PROVIDER,
    Role.FRONT_DESK: Party.FRONT_DESK,
    Role.ORGANIZER: Party.ORGANIZER,
    Role.BILLING: Party.BILLING,
    Role.ADMIN: Party.ADMIN,
}
NAMED = {Party.OWNER, Party.LINK, Party.COURIER, Party.MEMBER, *AT_ORGANIZATION.values()}
"""What one is to a thing by somebody's or something's id that it names."""

anything = st.sampled_from(["", ADA, BOB, HERE, THERE, "system", "share", "share:", f"share:{ORDER}", "guest:"])
roles = st.lists(st.sampled_from([*sorted(ROLES), "share", "root", ""]), max_size=4).map(tuple)
actors = st.builds(Actor, anything, roles, st.lists(anything, max_size=3).map(tuple))


@pytest.mark.parametrize("role", sorted(ORGANIZATION_ROLES))
def test_a_role_holds_at_the_organizations_of_the_token_and_nowhere_else(role: str) -> None:
    actor = Actor(ADA, (role,), (HERE,))
    assert parties(actor, organization_id=HERE) == {Party.MEMBER, AT_ORGANIZATION[Role(role)]}
    assert parties(actor, organization_id=THERE) == parties(actor) == frozenset()


def test_an_admin_runs_the_platform_only_without_an_organization() -> None:
    assert parties(Actor(ADA, ("admin",))) == {Party.PLATFORM}
    assert parties(Actor(ADA, ("admin",)), organization_id=HERE) == {Party.PLATFORM}
    assert Party.PLATFORM not in parties(Actor(ADA, ("admin",), (THERE,)), organization_id=HERE)


def test_an_owner_a_courier_and_a_link_are_so_by_the_very_id() -> None:
    assert parties(Actor(ADA), person=ADA, courier=ADA) == {Party.OWNER}
    assert parties(Actor(ADA, ("courier",)), person=BOB, courier=ADA) == {Party.ANY_COURIER, Party.COURIER}
    assert parties(Actor(ADA, ("courier",)), courier=BOB) == {Party.ANY_COURIER}
    assert parties(Actor(f"share:{ORDER}", ("share",)), person=ADA, shared=ORDER) == {Party.LINK}
    assert parties(Actor(f"share:{ORDER}", ("share",)), person=ADA, shared=BOB) == frozenset()


def test_the_runtime_is_nothing_else_besides() -> None:
    forged = Actor(ADA, (*SYSTEM.roles, "admin"), (HERE,))
    assert parties(forged, organization_id=HERE, person=ADA) == {Party.SYSTEM}
    assert is_system(SYSTEM)


@given(actors)
def test_nobody_is_anything_to_what_names_nobody(actor: Actor) -> None:
    """Not even somebody without a name, or of an organization without one."""
    assert parties(actor).isdisjoint(NAMED)
    assert not is_oneself(actor, "")


@given(actors, st.sampled_from([ADA, BOB]), st.sampled_from([HERE, THERE]))
def test_nobody_is_more_than_their_subject_roles_and_organizations_say(actor: Actor, person: str, where: str) -> None:
    """A subject that is called like the runtime or a link is that of nobody."""
    found = parties(actor, organization_id=where, person=person, courier=person, shared=person)
    assert Party.SYSTEM not in found
    assert not is_system(actor)
    assert (Party.OWNER in found) == (actor.subject == person)
    assert (Party.MEMBER in found) == (where in actor.organizations)
    assert (Party.PLATFORM in found) == ("admin" in actor.roles and not actor.organizations)
    assert Party.LINK not in found
    if Party.MEMBER not in found:
        assert found.isdisjoint(AT_ORGANIZATION.values())


def test_customers_links_and_unknown_roles_serve_nobody() -> None:
    for role in ("customer", "share", "system", "root", ""):
        assert not serves(Actor(ADA, (role,)))
    assert all(serves(Actor(ADA, (role,))) for role in ROLES if role != Role.CUSTOMER)
    assert not is_known(Actor(ADA))
