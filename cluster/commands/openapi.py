"""`atrium openapi`: the API's document, without starting anything."""

import json
from pathlib import Path
from typing import Annotated

import typer

from serve.app import openapi_document


def register(app: typer.Typer) -> None:
    app.command("openapi")(openapi)


def openapi(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead.")] = None,
) -> None:
    """Print the OpenAPI 3.1 document of the API."""
    text = json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
