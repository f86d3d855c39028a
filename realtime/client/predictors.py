"""What an edit will make of an entity's view, as far as a device can know it: pure functions, one for each operation.

`predict(view, edit)` returns the view with the edit in it; `view` is not touched, and None where the entity is not
known yet. An edit that is in the view already changes nothing, so a prediction over a confirmed state that has it does
no harm. What only the server knows is left out rather than guessed: amounts of money, hashes, regions.
Exclusive operations (claim, take over, sign) are not predicted: they are shown as intents (`claim_intent`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocalEdit:
    """An edit as the device made it: `by` its person, on `device`, `at` RFC 3339."""

    op: str
    args: Mapping[str, Any]
    by: str
    device: str
    at: str
    base: int = 0

    @property
    def stamp(self) -> View:
        return {"by": self.by, "at": self.at, "device": self.device}


Predictor = Callable[[View | None, LocalEdit], View | None]

_OCCUPIED: Final = frozenset({"roomed", "in_treatment", "waiting"})
_WRITABLE: Final = frozenset({"draft", "ready"})


def _only_known(change: Callable[[View, LocalEdit], View]) -> Predictor:
    return lambda view, edit: None if view is None else change(view, edit)


def _text(args: Mapping[str, Any], *names: str) -> View:
    return {name: args[name] for name in names if args.get(name)}


def _without(view: View, *names: str) -> View:
    return {name: value for name, value in view.items() if name not in names}


# -- rooms ----------------------------------------------------------------------------------------


def _move_room(view: View, edit: LocalEdit) -> View:
    args, status = edit.args, view.get("status")
    to = args["to"]
    if to == status or args.get("from") not in {None, "", status}:
        return view
    kept = _without(view, "reason", "waiting_for", "held_for", "hold_until", "alert", "undo_version")
    if to not in _OCCUPIED:
        kept = _without(kept, "patient_id", "visit_id")
    moved = kept | {"status": to, "since": edit.at, "by": edit.by, "device": edit.device, "occupied": to in _OCCUPIED}
    moved |= _text(args, "reason", "waiting_for")
    if to == "held":
        return moved | ({"held_for": args["visit_id"]} if args.get("visit_id") else {})
    return moved | (_text(args, "patient_id", "visit_id") if to in _OCCUPIED else {})


def _claim_room(view: View, edit: LocalEdit) -> View:
    if view.get("claim", {}).get("by") == edit.by:
        return view
    return view | {"claim_intent": {"by": edit.by, "at": edit.at}}


def _release_room(view: View, edit: LocalEdit) -> View:
    kept = _without(view, "claim_intent")
    return _without(kept, "claim") if kept.get("claim", {}).get("by") == edit.by else kept


# -- provider sessions ----------------------------------------------------------------------------


def _enter(view: View, edit: LocalEdit) -> View:
    there = ("room_id", "patient_id", "visit_id")
    if all(view.get(name, "") == edit.args.get(name, "") for name in there):
        return view
    return _without(view, *there) | {"room_since": edit.at} | _text(edit.args, *there)


def _leave(view: View, _: LocalEdit) -> View:
    return _without(view, "room_id", "patient_id", "visit_id", "room_since")


def _open_document(view: View, edit: LocalEdit) -> View:
    return view | {"documents": {edit.args["document_id"]: edit.at} | view.get("documents", {})}


def _close_document(view: View, edit: LocalEdit) -> View:
    return view | {"documents": _without(view.get("documents", {}), edit.args["document_id"])}


# -- documents ------------------------------------------------------------------------------------


def _create_document(view: View | None, edit: LocalEdit) -> View | None:
    if view is not None:
        return view
    maps = ("fields", "points", "containers", "wastage", "notes", "photos", "conflicts", "late_entries")
    return {
        **{name: value for name, value in edit.args.items() if value not in {"", None}},
        **{name: {} for name in (*maps, "signatures", "addenda", "alerts")},
        "version": 0,
        "author": edit.by,
        "needs_cosign": bool(edit.args.get("needs_cosign")),
        "status": "draft",
        "since": edit.at,
        "created_at": edit.at,
        "updated_at": edit.at,
        "open_conflicts": 0,
        "participants": {edit.by: {"since": edit.at}},
    }


def _edited(view: View, edit: LocalEdit, **changed: Any) -> View:
    """Its hash is not known any more, what was ready is a draft, and who writes takes part."""
    if view.get("status") == "ready":
        changed |= {"status": "draft", "since": edit.at}
    return _without(_join(view, edit), "content_hash") | {"updated_at": edit.at} | changed


def _set_field(view: View, edit: LocalEdit) -> View:
    fields, name, value = view.get("fields", {}), edit.args["name"], edit.args["value"]
    known = fields.get(name, {})
    if view.get("status") not in _WRITABLE or ("value" in known and _same(known["value"], value)):
        return view
    field = {"fver": edit.base} | _without(known, "recorded_at", "device_clock") | {"value": value, **edit.stamp}
    return _edited(view, edit, fields=fields | {name: field})


def _add_point(view: View, edit: LocalEdit) -> View:
    points, args = view.get("points", {}), edit.args
    if view.get("status") not in _WRITABLE or args["point_id"] in points:
        return view
    point = {"view": args["view"], "x": args["x"], "y": args["y"], "fver": {}, **edit.stamp}
    what = _text(args, "product_id", "dose", "unit", "lot", "container_id")
    how = _text(args, "technique", "depth")
    point |= {"plan": what | how} if args.get("planned") else {"injection": what | edit.stamp, **how}
    return _edited(view, edit, points=points | {args["point_id"]: point})


def _set_point(view: View, edit: LocalEdit) -> View:
    """An empty text takes a property back; of one that never had a value, that is an edit too."""
    point = view.get("points", {}).get(edit.args["point_id"])
    if point is None or view.get("status") not in _WRITABLE:
        return view
    changed = {name: value for name, value in edit.args.items() if name != "point_id"}
    plan = {name: value for name, value in (point.get("plan", {}) | changed).items() if value}
    register = "dose" if "dose" in changed else next(iter(changed))
    if plan == point.get("plan", {}) and register in point.get("fver", {}):
        return view
    return _edited(view, edit, points=view["points"] | {edit.args["point_id"]: point | {"plan": plan}})


def _perform_point(view: View, edit: LocalEdit) -> View:
    """A struck point that was injected after all is not struck any more."""
    injection = _text(edit.args, "product_id", "dose", "unit", "lot", "container_id") | edit.stamp
    return _change_point(
        view,
        edit,
        lambda point: point if "injection" in point else _without(point, "struck") | {"injection": injection},
    )


def _strike_point(view: View, edit: LocalEdit) -> View:
    """Struck already for another reason: the first one is shown."""
    struck = view.get("points", {}).get(edit.args["point_id"], {}).get("struck")
    if struck is not None:
        nothing = view.get("status") not in _WRITABLE or struck["reason"] == edit.args["reason"]
        return view if nothing else _join(view, edit)
    mark = {"struck": {"reason": edit.args["reason"], **edit.stamp}}
    return _change_point(view, edit, lambda point: point | mark)


def _change_point(view: View, edit: LocalEdit, change: Callable[[View], View]) -> View:
    points, point_id = view.get("points", {}), edit.args["point_id"]
    point = points.get(point_id)
    if point is None or view.get("status") not in _WRITABLE:
        return view
    changed = change(point)
    return view if changed == point else _edited(view, edit, points=points | {point_id: changed})


def _add_item(kind: str, key: str) -> Predictor:
    """One more in a map; its id says whether it is there already."""

    def add(view: View, edit: LocalEdit) -> View:
        items, item_id = view.get(kind, {}), edit.args[key]
        if item_id in items or (kind != "addenda" and view.get("status") not in _WRITABLE):
            return view
        own_id = () if kind == "containers" else (key,)
        item = {name: value for name, value in _without(dict(edit.args), *own_id).items() if value not in {"", None}}
        if kind == "addenda":
            addendum = {"label": "addendum", **item, **edit.stamp}
            return _join(view, edit) | {kind: items | {item_id: addendum}, "updated_at": edit.at}
        return _edited(view, edit, **{kind: items | {item_id: item | edit.stamp}})

    return _only_known(add)


def _resolve(view: View, edit: LocalEdit) -> View:
    """The register takes the value, and is flagged no more for this conflict."""
    conflicts, conflict_id, value = view.get("conflicts", {}), edit.args["conflict_id"], edit.args["value"]
    conflict = conflicts.get(conflict_id)
    if conflict is None or conflict["status"] != "open":
        return view
    resolution = {"value": value, "reason": edit.args["reason"], **edit.stamp}
    changed: View = {
        "conflicts": conflicts | {conflict_id: conflict | {"status": "resolved", "resolution": resolution}},
        "open_conflicts": max(0, view.get("open_conflicts", 1) - 1),
    }
    name = conflict["register"]
    fields = view.get("fields", {})
    if name in fields:
        changed["fields"] = fields | {name: _unflagged(fields[name], conflict_id) | {"value": value, **edit.stamp}}
    elif name.startswith("point/"):
        _, point_id, prop = name.split("/")
        points = view.get("points", {})
        changed["points"] = points | {point_id: _resolved_point(points[point_id], prop, value, conflict_id)}
    return _edited(view, edit, **changed)


def _resolved_point(point: View, prop: str, value: Any, conflict_id: str) -> View:
    point = _unflagged(point, conflict_id)
    if prop == "injection":
        return point | {"injection": point.get("injection", {}) | value}
    changed = {prop: value}
    if prop == "dose":
        changed["dose"], _, changed["unit"] = value.partition(" ")
    return point | {"plan": point.get("plan", {}) | changed}


def _unflagged(register: View, conflict_id: str) -> View:
    others = _without(register.get("conflicts", {}), conflict_id)
    return _without(register, "conflicts") | ({"conflicts": others} if others else {})


def _join(view: View, edit: LocalEdit) -> View:
    return view | {"participants": {edit.by: {"since": edit.at}} | view.get("participants", {})}


def _leave_off(view: View, edit: LocalEdit) -> View:
    return view | {"participants": _without(view.get("participants", {}), edit.by)}


def _move_document(view: View, edit: LocalEdit) -> View:
    to, status = edit.args["to"], view.get("status")
    if (status, to) not in {("draft", "ready"), ("ready", "draft")} or edit.args.get("from") not in {None, "", status}:
        return view
    return _join(view, edit) | {"status": to, "since": edit.at}


# -- carts ----------------------------------------------------------------------------------------


def _set_quantity(view: View, edit: LocalEdit) -> View:
    """Totals go: amounts are the server's to say."""
    lines, line_id, quantity = view.get("lines", {}), edit.args["line_id"], edit.args["quantity"]
    line = lines.get(line_id)
    if line is None or line.get("quantity") == quantity:
        return view
    return _counted(view, lines | {line_id: _without(line, "total") | {"quantity": quantity}})


def _remove_line(view: View, edit: LocalEdit) -> View:
    lines = view.get("lines", {})
    return view if edit.args["line_id"] not in lines else _counted(view, _without(lines, edit.args["line_id"]))


def _clear(view: View, _: LocalEdit) -> View:
    return _counted(view, {}) if view.get("lines") else view


def _counted(view: View, lines: View) -> View:
    items = sum(line["quantity"] for line in lines.values())
    return _without(view, "subtotal", "total") | {"lines": lines, "lines_count": len(lines), "items_count": items}


PREDICTORS: Final[Mapping[tuple[str, str], Predictor]] = {
    ("room", "set_status"): _only_known(_move_room),
    ("room", "claim"): _only_known(_claim_room),
    ("room", "take_over"): _only_known(_claim_room),
    ("room", "release"): _only_known(_release_room),
    ("session", "enter"): _only_known(_enter),
    ("session", "leave"): _only_known(_leave),
    ("session", "open_document"): _only_known(_open_document),
    ("session", "close_document"): _only_known(_close_document),
    ("document", "create"): _create_document,
    ("document", "set_field"): _only_known(_set_field),
    ("document", "add_point"): _only_known(_add_point),
    ("document", "set_point"): _only_known(_set_point),
    ("document", "perform_point"): _only_known(_perform_point),
    ("document", "strike_point"): _only_known(_strike_point),
    ("document", "open_container"): _add_item("containers", "container_id"),
    ("document", "record_wastage"): _add_item("wastage", "wastage_id"),
    ("document", "append_note"): _add_item("notes", "note_id"),
    ("document", "attach_photo"): _add_item("photos", "photo_id"),
    ("document", "add_addendum"): _add_item("addenda", "addendum_id"),
    ("document", "resolve"): _only_known(_resolve),
    ("document", "join"): _only_known(_join),
    ("document", "leave_off"): _only_known(_leave_off),
    ("document", "set_status"): _only_known(_move_document),
    ("cart", "set_quantity"): _only_known(_set_quantity),
    ("cart", "remove_line"): _only_known(_remove_line),
    ("cart", "clear"): _only_known(_clear),
}
"""By kind and operation. What is not here has no prediction: it shows when it is confirmed."""


def register_of(kind: str, op: str, args: Mapping[str, Any], view: View | None) -> str:
    """The register that an edit sets (a field's name, or `point/<id>/<property>`), "" for none."""
    if kind != "document":
        return ""
    if op == "set_field":
        return str(args["name"])
    if op == "set_point":
        prop = "dose" if "dose" in args else next((name for name in args if name != "point_id"), "")
        return f"point/{args['point_id']}/{prop}"
    if op == "resolve":
        return str((view or {}).get("conflicts", {}).get(args["conflict_id"], {}).get("register", ""))
    return ""


def chain_of(register: str) -> str:
    """Registers that one cannot know without the other count as one: a dose is a dose of its product."""
    if register.startswith("point/") and register.endswith("/product_id"):
        return register.removesuffix("product_id") + "dose"
    return register


def register_version(view: View | None, register: str) -> int:
    """The version at which the register last changed; 0 when it has no value."""
    view = view or {}
    if register.startswith("point/"):
        _, point_id, prop = register.split("/")
        return int(view.get("points", {}).get(point_id, {}).get("fver", {}).get(prop, 0))
    return int(view.get("fields", {}).get(register, {}).get("fver", 0))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
