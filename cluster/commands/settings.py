"""`atrium settings`: every setting, its value now, and the page in the documentation."""

from typing import Annotated, Any

import typer
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from storage.settings import Settings

_HEAD = """\
# Settings

Every setting is an environment variable. A command line option of the same meaning wins over it.
This page is written by `atrium settings --markdown`.

| variable | type | default | meaning |
|---|---|---|---|
"""


def register(app: typer.Typer) -> None:
    app.command("settings")(show)


def show(
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the page of the documentation.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show the settings in force, and where each comes from. Secrets stay hidden."""
    if markdown:
        print(markdown_page(), end="")
        return
    settings = settings_with(data)
    values = {variables(name, field)[0]: _shown(getattr(settings, name)) for name, field in _fields()}
    if as_json:
        print_json(values)
        return
    rows = table("variable", "value", "from")
    given = settings.model_fields_set
    for name, field in _fields():
        variable = variables(name, field)[0]
        rows.add_row(variable, str(values[variable]), "set" if name in given else "default")
    out.print(rows)


def _fields() -> list[tuple[str, FieldInfo]]:
    return list(Settings.model_fields.items())


def variables(name: str, field: FieldInfo) -> list[str]:
    """The environment variables of a setting, the preferred one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"ATRIUM_{name.upper()}"]


def markdown_page() -> str:
    """`docs/settings.md`, from the descriptions in `storage/settings.py`."""
    lines = []
    for name, field in _fields():
        names = " or ".join(f"`{variable}`" for variable in variables(name, field))
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| {names} | {_type(field)} | {_default(field)} | {meaning}{_bounds(field)} |")
    return _HEAD + "\n".join(lines) + "\n"


def _type(field: FieldInfo) -> str:
    text = str(field.annotation)
    if "Literal" in text:
        return "one of " + ", ".join(f"`{choice}`" for choice in field.annotation.__args__)  # type: ignore[union-attr]
    for mark, name in (
        ("Path", "path"),
        ("Secret", "secret"),
        ("float", "number"),
        ("int", "integer"),
        ("bool", "flag"),
    ):
        if mark in text:
            return name
    return "text"


def _default(field: FieldInfo) -> str:
    if field.default is None or field.default is PydanticUndefined:
        return "unset"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _bounds(field: FieldInfo) -> str:
    found = {name: getattr(mark, name) for mark in field.metadata for name in ("ge", "gt", "le") if hasattr(mark, name)}
    words = {"ge": "at least", "gt": "more than", "le": "at most"}
    text = ", ".join(f"{words[name]} {value}" for name, value in found.items())
    return f" ({text})" if text else ""


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(hidden)"
    return value if isinstance(value, int | float | str) else "" if value is None else str(value)
