"""Colours, marks, labels and output formats that all figures share."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.figure import Figure

# Okabe and Ito 2008: distinguishable with any form of colour blindness (jfly.uni-koeln.de/color).
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#B4B8BC"
INK: Final = "#1A1A1A"
OKABE_ITO: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW)
DARK: Final = ("#003B5C", "#7A5400", "#00523B", "#6E3F5A", "#2B6A8C", "#6F3100", "#7F7822")

LEVELS: Final = len(OKABE_ITO) + len(DARK)
"""Number of names that can have a colour of their own."""


class Mark(NamedTuple):
    """How cells of one class are drawn."""

    colour: str
    shape: str
    size: float


# In drawing order: calls last, so that leukocytes do not cover them.
CLASS_MARKS: Final = {
    "blood": Mark(GREY, "o", 0.0),
    "non-blood other": Mark(SKY, "s", 14.0),
    "uncertain": Mark(ORANGE, "^", 36.0),
    "CTC aggregate": Mark(PURPLE, "D", 42.0),
    "CTC": Mark(VERMILLION, "o", 46.0),
}

_FONT: Final = "DejaVu Sans"
_SETTINGS: Final[dict[str, str | float]] = {
    "svg.hashsalt": "ctcflow",
    "font.family": _FONT,
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6B7075",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "text.parse_math": False,
    "path.simplify": False,
}
_SHARED: Final = 22


@contextmanager
def drawing() -> Iterator[None]:
    """Context with fixed settings of matplotlib, whatever matplotlibrc the machine has."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in _SETTINGS.items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


def written(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Render a figure; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata: dict[str, None] = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=120, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def plain(value: float, _position: float = 0.0) -> str:
    """Label a tick of a logarithmic axis without a power: `1,000`, `0.001`."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def blank(reason: str) -> Figure:
    """Draw a figure that says why it is empty."""
    figure = Figure(figsize=(7.0, 1.6))
    figure.text(0.5, 0.5, shown(f"not run: {reason}", 90), ha="center", va="center", wrap=True)
    return figure


def shown(name: object, longest: int = _SHARED) -> str:
    """Shorten a name in its middle, and replace what the font cannot draw."""
    text = "".join(c if ord(c) in _glyphs() else "□" for c in " ".join(str(name).split()))
    if len(text) > longest:
        tail = (longest - 1) // 2
        text = f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"
    # matplotlib omits labels that begin with an underscore from a legend
    return f" {text}" if text.startswith("_") else text


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont(_FONT))
    return frozenset(font.get_charmap())


def level_colours(names: npt.NDArray[np.str_], sizes: npt.NDArray[np.int64]) -> dict[str, str]:
    """Choose a colour per name: distinct while they last, then a scale; grey for small groups."""
    if len(names) <= LEVELS:
        return dict(zip(names.tolist(), OKABE_ITO + DARK, strict=False))
    if len(names) > 3 * LEVELS or sizes.max() < 0.2 * sizes.sum():
        scale = mpl.colormaps["cividis"](np.linspace(0.0, 1.0, len(names)))
        return {
            n: mpl.colors.to_hex(colour) for n, colour in zip(names.tolist(), scale, strict=True)
        }
    largest = names[np.argsort(-sizes, kind="stable")][:LEVELS].tolist()
    chosen: dict[str, str] = dict.fromkeys(names.tolist(), GREY)
    chosen.update(zip(largest, OKABE_ITO + DARK, strict=True))
    return chosen


def ramp() -> list[str]:
    """Colour scale of an amount, dark to bright."""
    return [mpl.colors.to_hex(c) for c in mpl.colormaps["cividis"](np.linspace(0.0, 1.0, 64))]
