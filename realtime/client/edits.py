"""Typed edits of rooms, documents and sessions. Each returns at once, online or not; what was done is on the screen.

Ids of new things (points, notes …) are chosen here, so that a repeat is known as one.
"""

from typing import Any, Protocol

from domain.ids import new_id
from realtime.client.errors import LiveRefusedError
from realtime.client.notices import Edit
from realtime.client.subscription import Subscription


class Editor(Protocol):
    """The part of a tablet that edits go through."""

    def edit(self, ent: str, op: str, args: dict[str, Any]) -> Edit: ...
    def state(self, ent: str) -> Any: ...
    def claim_token(self, ent: str) -> int: ...
    def follow(self, channel: str) -> Subscription: ...
    def unfollow(self, channel: str) -> None: ...


class _Entity:
    def __init__(self, editor: Editor, ent: str) -> None:
        self.ent = ent
        self._editor = editor

    @property
    def state(self) -> Any:
        """What the person sees: the confirmed state with their own edits in it. None when it is unknown."""
        return self._editor.state(self.ent)

    def follow(self) -> Subscription:
        """Have it kept current, from now on and after a restart, until `unfollow`."""
        return self._editor.follow(self.ent)

    def unfollow(self) -> None:
        self._editor.unfollow(self.ent)

    def _edit(self, op: str, **args: Any) -> Edit:
        return self._editor.edit(self.ent, op, {name: value for name, value in args.items() if value not in {None, ""}})


class Room(_Entity):
    def set_status(self, to: str, from_: str | None = None, *, token: int | None = None, **details: Any) -> Edit:
        """`from_` is by default the status on the screen, `token` that of the own claim as far as it is known.

        `details`: `reason`, `waiting_for`, `patient_id`, `visit_id`, `hold_minutes`.
        """
        if from_ is None:
            from_ = (self.state or {}).get("status", "")
        token = self._editor.claim_token(self.ent) if token is None else token
        return self._edit("set_status", to=to, **{"from": from_}, token=token or None, **details)

    def claim(self) -> Edit:
        """Online only: offline it is an intent that expires. Wait for the result, whose reply has the token, before
        doing what only the holder may do."""
        return self._edit("claim")

    def take_over(self, reason: str) -> Edit:
        return self._edit("take_over", reason=reason)

    def release(self) -> Edit:
        return self._edit("release", token=self._editor.claim_token(self.ent) or None)

    def undo(self) -> Edit:
        """The last status change. Raises `LiveRefusedError` when there is nothing to undo, as far as is known."""
        version = (self.state or {}).get("undo_version", 0)
        if not version:
            raise LiveRefusedError("not_undoable")
        return self._edit("undo", version=version, token=self._editor.claim_token(self.ent) or None)


class Document(_Entity):
    @property
    def id(self) -> str:
        return self.ent.partition("/")[2]

    def create(self, organization_id: str, location_id: str, patient_id: str, template: str, **details: Any) -> Edit:
        """`details`: `visit_id`, `title`, `needs_cosign`, `cosigner`."""
        return self._edit(
            "create",
            organization_id=organization_id,
            location_id=location_id,
            patient_id=patient_id,
            template=template,
            **details,
        )

    def set_field(self, name: str, value: str | int | bool) -> Edit:
        """An empty text is a value too."""
        return self._editor.edit(self.ent, "set_field", {"name": name, "value": value})

    def add_point(self, view: str, x: int, y: int, *, planned: bool = False, **what: str) -> Edit:
        """Of a performed one `product_id`, `dose` and `unit` are needed; `lot`, `container_id`, `technique`, `depth`.

        `args["point_id"]` of the edit is its id.
        """
        args = {"point_id": what.pop("point_id", "") or new_id(), "view": view, "x": x, "y": y}
        return self._edit("add_point", **args, planned=planned or None, **what)

    def set_point(self, point_id: str, **value: str) -> Edit:
        """One property of a planned point; a dose with its unit. An empty text takes it back."""
        return self._editor.edit(self.ent, "set_point", {"point_id": point_id, **value})

    def perform(self, point_id: str, **what: str) -> Edit:
        """A planned point was injected: as planned, where `what` does not say otherwise."""
        plan = ((self.state or {}).get("points", {}).get(point_id) or {}).get("plan", {})
        planned = {name: plan[name] for name in ("product_id", "dose", "unit", "lot", "container_id") if name in plan}
        return self._edit("perform_point", **{"point_id": point_id, **planned, **what})

    def strike_point(self, point_id: str, reason: str) -> Edit:
        return self._edit("strike_point", point_id=point_id, reason=reason)

    def open_container(self, container_id: str, product_id: str, amount: str, unit: str, **details: Any) -> Edit:
        """`details`: `lot`, `expires_on`, `single_dose`."""
        return self._edit(
            "open_container", container_id=container_id, product_id=product_id, amount=amount, unit=unit, **details
        )

    def waste(self, container_id: str, amount: str, unit: str, reason: str) -> Edit:
        return self._edit(
            "record_wastage", wastage_id=new_id(), container_id=container_id, amount=amount, unit=unit, reason=reason
        )

    def note(self, text: str, section: str = "") -> Edit:
        return self._edit("append_note", note_id=new_id(), text=text, section=section)

    def photo(self, view: str, sha256: str, media_type: str, size_bytes: int, taken_at: str) -> Edit:
        """A reference; the picture itself goes over HTTP."""
        return self._edit(
            "attach_photo",
            photo_id=new_id(),
            view=view,
            sha256=sha256,
            media_type=media_type,
            bytes=size_bytes,
            taken_at=taken_at,
        )

    def join(self) -> Edit:
        return self._edit("join")

    def leave(self) -> Edit:
        return self._edit("leave_off")

    def resolve(self, conflict_id: str, value: Any, reason: str) -> Edit:
        return self._editor.edit(self.ent, "resolve", {"conflict_id": conflict_id, "value": value, "reason": reason})

    def ready(self) -> Edit:
        """The content is complete: it can be signed."""
        return self._edit("set_status", to="ready", **{"from": "draft"})

    def draft(self) -> Edit:
        return self._edit("set_status", to="draft", **{"from": "ready"})

    def sign(self, printed_name: str, meaning: str, proof: str) -> Edit:
        """Online only. `proof` is an access token of a login just now.

        What is signed is the content on the screen: raises `LiveRefusedError` `content_unknown` while own edits of it
        are not confirmed yet (`Tablet.synced`).
        """
        return self._signature("sign", printed_name, meaning, proof)

    def cosign(self, printed_name: str, meaning: str, proof: str) -> Edit:
        return self._signature("cosign", printed_name, meaning, proof)

    def reject_cosign(self, reason: str) -> Edit:
        return self._edit("reject_cosign", reason=reason)

    def addendum(self, text: str, reason: str) -> Edit:
        return self._edit("add_addendum", addendum_id=new_id(), text=text, reason=reason)

    def enter_in_error(self, reason: str) -> Edit:
        return self._edit("enter_in_error", reason=reason)

    def _signature(self, op: str, printed_name: str, meaning: str, proof: str) -> Edit:
        content_hash = (self.state or {}).get("content_hash", "")
        if not content_hash:
            raise LiveRefusedError("content_unknown", "edits of it are not confirmed yet")
        return self._edit(op, printed_name=printed_name, meaning=meaning, content_hash=content_hash, proof=proof)


class Session(_Entity):
    """The person's own session at this device."""

    def enter(self, room_id: str, patient_id: str = "", visit_id: str = "") -> Edit:
        return self._edit("enter", room_id=room_id, patient_id=patient_id, visit_id=visit_id)

    def leave(self) -> Edit:
        return self._edit("leave")

    def open_document(self, document_id: str) -> Edit:
        return self._edit("open_document", document_id=document_id)

    def close_document(self, document_id: str) -> Edit:
        return self._edit("close_document", document_id=document_id)

    def offer_hand_off(self, to: str, note: str = "") -> Edit:
        return self._edit("offer_hand_off", offer_id=new_id(), to=to, note=note)

    def withdraw_hand_off(self, offer_id: str) -> Edit:
        return self._edit("withdraw_hand_off", offer_id=offer_id)

    def resolve(self, item_id: str, action: str, reason: str) -> Edit:
        """A command in quarantine: `retry` or `discard`."""
        return self._edit("resolve", item_id=item_id, action=action, reason=reason)

    def sign_out(self) -> Edit:
        return self._edit("sign_out")
