"""As much of PromQL as it takes to know which metrics and labels an expression names."""

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
      | (?P<variable>\$\{?\w+\}?)
      | (?P<number>\d[\w.]*(?:e[+-]?\d+)?)
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],:])
      | (?P<space>\s+)""",
    re.VERBOSE,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


class Named(NamedTuple):
    """`metrics` with the labels of their own matchers; `labels` of groupings, which any of them may have."""

    metrics: dict[str, set[str]]
    labels: set[str]


def named_in(expression: str) -> Named:
    """Raises `ValueError` for what is no PromQL."""
    tokens = list(_tokens(expression))
    metrics: dict[str, set[str]] = {}
    labels: set[str] = set()
    depth: list[str] = []
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if text == "[":
            at = tokens.index(("operator", "]"), at) if ("operator", "]") in tokens[at:] else at
            depth += ["["] if tokens[at][1] == "[" else []
        elif text in "({" and kind == "operator":
            depth.append(text)
        elif text in ")]}" and kind == "operator":
            if not depth or depth.pop() + text not in {"()", "{}"}:
                raise ValueError(f"unbalanced {text} in {expression}")
        elif kind == "name" and text in _GROUPING:
            end = tokens.index(("operator", ")"), at) if following == "(" else at
            labels |= {name for of, name in tokens[at:end] if of == "name"} - _GROUPING
            at = end
        elif kind == "name" and text not in _WORDS and following not in {"(", "by", "without"}:
            metrics[text] = set()
            if following == "{":
                end = tokens.index(("operator", "}"), at)
                metrics[text] = {name for of, name in tokens[at + 2 : end] if of == "name"}
                at = end
        at += 1
    if depth:
        raise ValueError(f"unbalanced {depth[-1]} in {expression}")
    return Named(metrics, labels)


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"cannot read {expression[at:]!r}")
        at = match.end()
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append((kind, match.group()))
    return tokens
