"""Fill the templates of the page: all text is escaped, and a missing value is an error.

HTML is written in `templates/` and nowhere else. `fill` returns `Markup`, which other templates
insert unchanged; any other text is escaped when it is filled in.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES: Final = Path(__file__).with_name("templates")


def fill(template: str, **values: Any) -> Markup:
    """Fill a template, named by its path below `templates/` without `.html.jinja`."""
    return Markup(_environment().get_template(f"{template}.html.jinja").render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"base64": _base64, "json": _json}
    return environment


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _json(value: Any) -> Markup:
    """Write data for a script; `<` is encoded, so that no text can close the script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
