"""Registers: values that one person at a time means to set. A stale change is never applied and never lost."""

from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec

from actors.document_alerts import changes, injected
from actors.document_commands import Resolve, SetField, SetPoint
from actors.document_content import value_content
from actors.document_edits import check_name, check_room, check_text_room, check_uuid, check_writable, edited, occurred
from actors.document_events import ConflictRaised, ConflictResolved, Event, RegisterSet
from actors.document_state import Conflict, DocumentState, Performed, Point, Register, Stamp
from actors.document_values import (
    CONFLICTS_MAX,
    DETAIL_LENGTH_MAX,
    FIELDS_MAX,
    NUMBER_MAX,
    REASON_LENGTH_MAX,
    VALUE_LENGTH_MAX,
    Injection,
    Value,
    same_value,
    text_length,
)
from actors.runtime.entity import NOTHING, Context, Decision
from domain import errors
from domain.dose import check_dose, check_dose_and_unit, check_unit, dose_text
from domain.errors import NotFound, invalid_field
from domain.text import check_id, check_text

INJECTION: Final = "injection"
PLAN_PROPERTIES: Final = ("product_id", "dose", "lot", "container_id", "technique", "depth")
"""The registers of a planned point. A dose goes with its unit, as one."""
LINKED: Final = {"product_id": "dose", "dose": "product_id"}
"""A dose is a dose of its product alone (C5): who has not seen a change of the one is stale for the other."""


def register_name(point_id: str, name: str) -> str:
    return f"point/{point_id}/{name}"


def register_at(state: DocumentState, name: str) -> Register | Performed | None:
    """A field, a property of a plan, or what was injected at a point."""
    if not name.startswith("point/"):
        return state.fields.get(name)
    _, point_id, name_in_point = name.split("/")
    point = state.points[point_id]
    return point.performed if name_in_point == INJECTION else point.plan.get(name_in_point)


def held(register: Register | Performed) -> Value:
    return register.injection if isinstance(register, Performed) else register.value


def set_field(state: DocumentState, command: SetField, ctx: Context) -> Decision:
    name = check_name(command.name, "name")
    value = _checked_field(command.value)
    register = state.fields.get(name)
    if register is None:
        check_writable(state)
        check_room(len(state.fields), FIELDS_MAX, "fields")
    return _set(state, name, register, value, command.base_version, ctx)


def set_point(state: DocumentState, command: SetPoint, ctx: Context) -> Decision:
    point_id = check_uuid(command.point_id, "point_id")
    name, value = _property(command)
    point = state.points.get(point_id)
    if point is None:
        raise NotFound("There is no such point.", code="unknown_point")
    if point.added.injection is not None:
        raise errors.Conflict("The point was not planned.", code="point_performed")
    register = point.plan.get(name)
    if register is None or not same_value(register.value, value):
        check_writable(state)
        _check_still_planned(point)
    return _set(state, register_name(point_id, name), register, value, command.base_version, ctx)


def resolve(state: DocumentState, command: Resolve, ctx: Context) -> Decision:
    conflict = state.conflicts.get(command.conflict_id)
    if conflict is None:
        raise NotFound("There is no such conflict.", code="unknown_conflict")
    value = _checked(conflict.register, command.value)
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    register = _held_register(state, conflict.register)
    done = conflict.resolution
    if done is not None and (same_value(done.value, value) or same_value(held(register), value)):
        return NOTHING
    check_writable(state)
    stale = command.base_version > 0 and not is_fresh(register, command.base_version, ctx)
    if done is not None or (stale and not same_value(held(register), value)):
        return raise_conflict(state, conflict.register, register, value, command.base_version, ctx, command.reason)
    check_text_room(state, text_length(value) + len(command.reason))
    event = ConflictResolved(
        conflict_id=command.conflict_id,
        value=value,
        reason=command.reason,
        replaced=_replaced(conflict, held(register), value),
        **occurred(ctx),
    )
    return edited(state, ctx, event, *_alerts(state, conflict, value))


def is_fresh(register: Register | Performed, base_version: int, ctx: Context) -> bool:
    """Whether the sender knew the register as it is: its version, or all that came after is the sender's own.

    A queue that waited offline cannot name the versions that its own commands will make. It is in order, so a later
    change from the same person and device knows the earlier ones; one that happened before them does not.
    """
    if base_version == register.fver:
        return True
    if isinstance(register, Performed) or not ctx.device:
        return False
    stamp = register.stamp
    own = (stamp.by, stamp.device) == (ctx.actor.subject, ctx.device)
    return own and register.base_fver <= base_version < register.fver and ctx.occurred_ms >= stamp.at_ms


def raise_conflict(
    state: DocumentState,
    name: str,
    register: Register | Performed,
    offered: Value,
    base_version: int,
    ctx: Context,
    reason: str = "",
) -> Decision:
    """Both values are kept. Replies with the conflict and the value that the register has for the time being."""
    current = held(register)
    check_room(len(state.conflicts), CONFLICTS_MAX, "conflicts")
    check_text_room(state, text_length(current) + text_length(offered) + len(reason))
    event = ConflictRaised(
        conflict_id=ctx.new_id("conflict"),
        register=name,
        current=current,
        current_fver=register.fver,
        offered=offered,
        offered_fver=base_version,
        reason=reason,
        **occurred(ctx),
    )
    return edited(state, ctx, event, reply={"conflict_id": event.conflict_id, "current": value_content(current)})


def checked_injection(injection: Injection, path: str = "") -> Injection:
    """With the dose in its one form. A performed injection names its product, dose and unit."""
    return Injection(
        product_id=check_id(injection.product_id, f"{path}product_id"),
        dose=dose_text(check_dose(injection.dose, f"{path}dose")),
        unit=check_unit(injection.unit, f"{path}unit"),
        lot=check_text(injection.lot, f"{path}lot", length_max=DETAIL_LENGTH_MAX),
        container_id=check_id(injection.container_id, f"{path}container_id", required=False),
    )


def checked_property(name: str, value: str, path: str) -> str:
    """A property of a plan; "" takes it back."""
    if not value:
        return value
    if name == "dose":
        return check_dose_and_unit(value, path)
    if name in {"product_id", "container_id"}:
        return check_id(value, path)
    return check_text(value, path, length_max=DETAIL_LENGTH_MAX)


def plan_dose(dose: str, unit: str) -> str:
    """A planned dose as its register holds it; neither of the two goes without the other."""
    if not dose and not unit:
        return ""
    return f"{dose_text(check_dose(dose, 'dose'))} {check_unit(unit, 'unit')}"


def _set(
    state: DocumentState,
    name: str,
    register: Register | None,
    value: str | int | bool,
    base_version: int,
    ctx: Context,
) -> Decision:
    if register is not None and same_value(register.value, value):
        return NOTHING
    check_writable(state)
    if register is not None and not is_fresh(register, base_version, ctx):
        return raise_conflict(state, name, register, value, base_version, ctx)
    check_text_room(state, text_length(value) - (0 if register is None else text_length(register.value)))
    return edited(state, ctx, RegisterSet(register=name, value=value, **occurred(ctx)))


def _checked(name: str, value: Value) -> Value:
    """A value that the register can hold."""
    if not name.startswith("point/"):
        if isinstance(value, Injection):
            raise invalid_field("value", "malformed", "A field holds a text, a number or a yes or no.")
        return _checked_field(value)
    name_in_point = name.rsplit("/", 1)[1]
    if name_in_point == INJECTION:
        if not isinstance(value, Injection):
            raise invalid_field("value", "malformed", "Must be what was injected: product_id, dose, unit.")
        return checked_injection(value, "value.")
    if not isinstance(value, str):
        raise invalid_field("value", "malformed", "Must be text.")
    return checked_property(name_in_point, value, "value")


def _checked_field(value: str | int | bool) -> str | int | bool:
    if isinstance(value, str):
        return check_text(value, "value", length_max=VALUE_LENGTH_MAX)
    if not -NUMBER_MAX <= value <= NUMBER_MAX:
        raise invalid_field("value", "out_of_range", f"Must be from -{NUMBER_MAX} to {NUMBER_MAX}.")
    return value


def _property(command: SetPoint) -> tuple[str, str]:
    """The one property that is set, and its value."""
    given: dict[str, Any] = {
        name: value for name in (*PLAN_PROPERTIES, "unit") if (value := getattr(command, name)) is not msgspec.UNSET
    }
    if given.keys() == {"dose", "unit"}:
        return "dose", plan_dose(given["dose"], given["unit"])
    if len(given) != 1 or given.keys() & {"dose", "unit"}:
        message = f"Exactly one of {', '.join(PLAN_PROPERTIES)}; a dose with its unit."
        raise invalid_field(*_misfit(given.keys()), message)
    ((name, value),) = given.items()
    return name, checked_property(name, value, name)


def _misfit(given: AbstractSet[str]) -> tuple[str, str]:
    """Which field is one too many or missing, and which of the two."""
    if given == {"dose"}:
        return "unit", "required"
    if given <= {"unit"}:
        return "dose", "required"
    return max(given), "not_allowed"


def _check_still_planned(point: Point) -> None:
    if point.performed is not None:
        raise errors.Conflict("The point was injected meanwhile.", code="point_performed")
    if point.struck is not None:
        raise errors.Conflict("The point was entered in error.", code="point_struck")


def _held_register(state: DocumentState, name: str) -> Register | Performed:
    register = register_at(state, name)
    if register is None:
        raise ValueError("a conflict is about a register that holds a value")
    return register


def _replaced(conflict: Conflict, current: Value, value: Value) -> Value | msgspec.UnsetType:
    known = any(same_value(current, one) for one in (conflict.current, conflict.offered, value))
    return msgspec.UNSET if known else current


def _alerts(state: DocumentState, conflict: Conflict, value: Value) -> tuple[Event, ...]:
    """Another injection draws from other containers."""
    if not isinstance(value, Injection):
        return ()
    _, point_id, _ = conflict.register.split("/")
    point = state.points[point_id]
    if point.struck is not None:
        return ()
    stamp = resolved_stamp(conflict, _performed(point), value)
    return changes(state, draws={("point", point_id): injected(value, stamp.at_ms)})


def resolved_stamp(conflict: Conflict, performed: Performed, value: Injection) -> Stamp:
    """Who injected, and when: of the account that was chosen; a third one corrects the one that stands."""
    return conflict.stamp if value == conflict.offered and value != performed.injection else performed.stamp


def _performed(point: Point) -> Performed:
    if point.performed is None:
        raise ValueError("two accounts of an injection are about a performed one")
    return point.performed
