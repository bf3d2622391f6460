"""Pieces of a page: every text is escaped unless it is `Markup` already."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from ctcflow import numbers
from ctcflow.render.page.script import SCRIPT
from ctcflow.render.page.style import STYLE

Kind = Literal["text", "code", "count", "number", "p"]

_SHOWN: Final = {
    "text": numbers.text,
    "code": numbers.text,
    "count": numbers.count,
    "number": numbers.short,
    "p": numbers.probability,
}
# Columns from which on a table is wider than the page whatever is done, and scrolls.
_WIDE: Final = 9
# Text up to this length is kept on one line.
_WORD: Final = 18
_VOID: Final = {"img", "input", "meta"}


class Markup(str):
    """Text that is HTML already; only functions of this module make it."""

    __slots__ = ()


class Column(NamedTuple):
    """One column of a table: its heading, and how its values are shown."""

    label: str
    kind: Kind = "text"


class Valued(NamedTuple):
    """A cell that shows words and sorts by a number."""

    shown: str
    value: float


def tag(name: str, *children: str | None, attributes: Mapping[str, str] | None = None) -> Markup:
    """Write one element; children that are plain text are escaped, None is left out."""
    given = "".join(f' {k}="{html.escape(v)}"' for k, v in (attributes or {}).items())
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[str | None]) -> Markup:
    """Put elements and texts one after the other."""
    return Markup(
        "".join(c if isinstance(c, Markup) else html.escape(c) for c in children if c is not None)
    )


def paragraph(*children: str | None, kind: str = "") -> Markup:
    """Write a paragraph, with a class such as `note` where one is given."""
    return tag("p", *children, attributes={"class": kind} if kind else None)


def bullets(items: Iterable[str]) -> Markup:
    """Write an unordered list."""
    return tag("ul", *(tag("li", item) for item in items))


def section(name: str, heading: str, *children: str | None) -> Markup:
    """Write a section with an anchor and a second-level heading."""
    return tag(
        "section",
        tag("h2", heading, attributes={"id": f"{name}-heading"}),
        *children,
        attributes={"id": name, "aria-labelledby": f"{name}-heading"},
    )


def image(png: bytes, *, alt: str, caption: str) -> Markup:
    """Embed a PNG in a figure with a caption."""
    data = base64.b64encode(png).decode("ascii")
    picture = tag("img", attributes={"src": f"data:image/png;base64,{data}", "alt": alt})
    box = _scroll_box(picture, label=alt)
    return tag("figure", box, tag("figcaption", caption))


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Any]],
    *,
    search: bool = False,
    empty: str = "none",
) -> Markup:
    """Write a table that scrolls in its own box.

    Parameters
    ----------
    caption
        What the table shows.
    columns
        Headings; the first column is the heading of its row.
    rows
        Values, one per column; `Markup` is taken as it is, a `Valued` sorts by its number.
    search
        The table can be sorted and searched where scripts run.
    empty
        What is said where there are no rows.
    """
    title = tag("caption", tag("span", caption))
    if not rows:
        return paragraph(tag("strong", caption), f" {empty}", kind="empty")
    head = tag("tr", *(_heading(column) for column in columns))
    body = (tag("tr", *_cells(columns, row)) for row in rows)
    kind = " ".join(
        word for word, used in (("search", search), ("wide", len(columns) > _WIDE)) if used
    )
    attributes = {"class": kind} if kind else None
    whole = tag("table", title, tag("thead", head), tag("tbody", *body), attributes=attributes)
    return _scroll_box(whole, label=caption, tall=len(rows) > 25)


def page(
    title: str,
    navigation: Sequence[tuple[str, str]],
    main: Sequence[Markup],
    *,
    libraries: Sequence[str] = (),
) -> bytes:
    """Write the whole page: one file that asks for nothing else.

    Parameters
    ----------
    title
        Heading of the page.
    navigation
        Name and heading of each section.
    main
        The first screen and the sections.
    libraries
        JavaScript that the page's own script uses.
    """
    links = (
        tag("li", tag("a", heading, attributes={"href": f"#{name}"}))
        for name, heading in navigation
    )
    contents = tag("nav", tag("ul", *links), attributes={"aria-label": "Contents"})
    head = tag(
        "head",
        tag("meta", attributes={"charset": "utf-8"}),
        tag(
            "meta",
            attributes={"name": "viewport", "content": "width=device-width, initial-scale=1"},
        ),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title)),
        tag("main", main[0], contents, *main[1:]),
        tag("footer", paragraph("Made by ctcflow. For research use only.")),
        *(tag("script", Markup(library)) for library in libraries),
        tag("script", Markup(SCRIPT)),
    )
    whole = tag("html", head, body, attributes={"lang": "en"})
    return f"<!DOCTYPE html>\n{whole}\n".encode()


def _scroll_box(content: Markup, *, label: str, tall: bool = False) -> Markup:
    # A box that scrolls must be reachable by keyboard and have a name.
    attributes = {
        "class": "box tall" if tall else "box",
        "tabindex": "0",
        "role": "region",
        "aria-label": label,
    }
    return tag("div", content, attributes=attributes)


def _heading(column: Column) -> Markup:
    attributes = {"scope": "col"}
    if column.kind in ("count", "number", "p"):
        attributes["class"] = "number"
    return tag("th", column.label, attributes=attributes)


def _cells(columns: Sequence[Column], row: Sequence[Any]) -> Iterable[Markup]:
    for position, (column, value) in enumerate(zip(columns, row, strict=True)):
        attributes = {}
        if column.kind in ("count", "number", "p"):
            attributes["class"] = "number"
        if position == 0:
            attributes["scope"] = "row"
        number = value.value if isinstance(value, Valued) else numbers.number_or_none(value)
        if number is not None:
            attributes["data-value"] = repr(float(number))
        shown = _shown(column, value)
        if "class" not in attributes and (column.kind == "code" or len(shown) <= _WORD):
            attributes["class"] = "word"
        yield tag("th" if position == 0 else "td", shown, attributes=attributes)


def _shown(column: Column, value: Any) -> str:
    if isinstance(value, Markup):
        return value
    if isinstance(value, Valued):
        return value.shown
    shown = value if isinstance(value, str) else _SHOWN[column.kind](value)
    if column.kind == "code" and shown:
        return tag("code", shown)
    return shown or numbers.MISSING
