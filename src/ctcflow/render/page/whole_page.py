"""The whole page: a single self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup

from ctcflow.render.page.environment import fill

_FOLDER: Final = Path(__file__).parent
_STYLE: Final = "page.css"
_SCRIPTS: Final = ("tables.js", "explorer.js", "verdicts.js")


def whole_page(
    title: str,
    navigation: Sequence[tuple[str, str]],
    main: Sequence[Markup],
    *,
    libraries: Sequence[str] = (),
) -> bytes:
    """Write the whole page as a single self-contained HTML file.

    Parameters
    ----------
    title
        Heading of the page.
    navigation
        Name and heading of each section.
    main
        The first screen and the sections.
    libraries
        JavaScript that the page's own scripts use.
    """
    page = fill(
        "page",
        title=title,
        navigation=navigation,
        first=main[0],
        sections=main[1:],
        style=_own(_STYLE),
        libraries=[Markup(library) for library in libraries],
        script=Markup("\n").join(_own(name) for name in _SCRIPTS),
    )
    return f"{page}\n".encode()


def _own(name: str) -> Markup:
    """Content of a file in this module's folder."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))
