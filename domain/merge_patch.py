"""RFC 7396 merge patches between two views: what hosts publish and devices apply.

Values are JSON builtins (dict with text keys, list, str, int, float, bool). Views never contain null, because
merge patch uses null to remove a key. Lists are replaced whole, so what changes line by line is a map.
"""

from typing import Any


def diff(old: Any, new: Any) -> Any:
    """The patch for which `apply(old, patch) == new`; `{}` when two maps are the same.

    Shares parts of `new`; neither argument is touched. `True`, `1` and `1.0` differ, as they do on the wire.
    Raises `ValueError` when a map in `new` holds null, which no merge patch can set.
    """
    if type(new) is not dict:
        if new is None:
            raise ValueError("a view cannot contain null: a merge patch would remove the key")
        return new
    if type(old) is not dict:
        _refuse_null(new)
        return new
    patch: dict[str, Any] = {}
    for key, after in new.items():
        if key not in old:
            _refuse_null(after)
            patch[key] = after
            continue
        before = old[key]
        if before is after:
            continue
        if type(after) is dict and type(before) is dict:
            inner = diff(before, after)
            if inner:
                patch[key] = inner
        elif not _same(before, after):
            _refuse_null(after)
            patch[key] = after
    for key in old:
        if key not in new:
            patch[key] = None
    return patch


def apply(target: Any, patch: Any) -> Any:
    """The result of merging `patch` into `target`. Neither is touched; unchanged parts are shared."""
    if type(patch) is not dict:
        return patch
    merged: dict[str, Any] = dict(target) if type(target) is dict else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif type(value) is dict:
            merged[key] = apply(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def _same(before: Any, after: Any) -> bool:
    if type(before) is not type(after):
        return False
    if type(after) is list:
        return len(before) == len(after) and all(map(_same, before, after))
    if type(after) is dict:
        return len(before) == len(after) and all(
            key in before and _same(before[key], value) for key, value in after.items()
        )
    return bool(before == after)


def _refuse_null(value: Any) -> None:
    if value is None:
        raise ValueError("a view cannot contain null: a merge patch would remove the key")
    if type(value) is dict:
        for inner in value.values():
            _refuse_null(inner)
