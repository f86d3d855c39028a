"""The error codes that the code can answer with, found in its syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT


def codes_in(*rooms: str) -> set[str]:
    """Codes of whole errors: `code=`, `Failure(code, …)`, classes of `AtriumError`, helpers that pass one on."""
    found: set[str] = set()
    for path in _files(rooms):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found |= _texts(_code_of_call(node), constants)
            elif isinstance(node, ast.ClassDef) and _is_error(node):
                found |= {text for value in _class_codes(node) for text in _texts([value], constants)}
            elif isinstance(node, ast.Assign | ast.AnnAssign) and _name(node) == "_CODES" and path.name == "app.py":
                assert isinstance(node.value, ast.Dict)
                found |= _texts(node.value.values, constants)
    return found


def field_codes_in(*rooms: str) -> set[str]:
    """Codes of fields: `invalid_field(path, code, …)` and `FieldError(path, code, …)`."""
    found: set[str] = set()
    for path in _files(rooms):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in {"invalid_field", "FieldError"} and len(node.args) > 1:
                found |= _texts([node.args[1]], constants)
    return found


def frame_codes_in(room: str) -> set[str]:
    """Codes of `error` frames: `refuse(ref, of, code, …)` and `Error(code=…)`."""
    found: set[str] = set()
    for path in _files((room,)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) == "refuse" and len(node.args) > 2:
                found |= _texts([node.args[2]], {})
            elif isinstance(node, ast.Call) and _called(node) == "Error":
                found |= _texts([word.value for word in node.keywords if word.arg == "code"], {})
    return found


def _files(rooms: tuple[str, ...]) -> Iterator[Path]:
    for room in rooms:
        yield from sorted((ROOT / room).rglob("*.py"))


def _code_of_call(node: ast.Call) -> list[ast.expr]:
    values = [word.value for word in node.keywords if word.arg == "code"]
    if _called(node) == "Failure":
        values += node.args[:1]
    elif _called(node) == "_refused" and len(node.args) > 2:
        values.append(node.args[1])
    elif isinstance(node.func, ast.Attribute) and node.func.attr == "get" and len(node.args) == 2:
        values += [node.args[1]] if isinstance(node.func.value, ast.Name) and node.func.value.id == "_CODES" else []
    return values


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_error(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) for base in node.bases) and node.name not in {"FieldError", "Failure"}


def _class_codes(node: ast.ClassDef) -> Iterator[ast.expr]:
    for inner in node.body:
        if isinstance(inner, ast.Assign | ast.AnnAssign) and _name(inner) == "code" and inner.value is not None:
            yield inner.value


def _name(node: ast.Assign | ast.AnnAssign) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else ""


def _constants(tree: ast.Module) -> dict[str, str]:
    """Names that a module binds to a text."""
    return {
        _name(node): node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _texts(values: list[ast.expr], constants: dict[str, str]) -> set[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            found.add(value.value)
        elif isinstance(value, ast.Name) and value.id in constants:
            found.add(constants[value.id])
        elif isinstance(value, ast.IfExp):
            found |= _texts([value.body, value.orelse], constants)
    return found
