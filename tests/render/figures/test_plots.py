"""Figures: positions of what is drawn, read back from the axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ctcflow.render import marks
from ctcflow.render.figures import atlas
from ctcflow.render.figures import plots as figures


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.texts]
    for axis in figure.axes:
        texts += [t.get_text() for t in (*axis.texts, *axis.get_yticklabels(), axis.title)]
    return " ".join(texts)


def test_calls_are_drawn_last_and_largest() -> None:
    obs = pd.DataFrame({"class": ["CTC", "blood", "uncertain", "CTC aggregate", "blood"]})
    places = np.arange(10.0).reshape(5, 2)
    figure = atlas.umap(obs, places, {"class": "By class"}, "none")
    drawn = figure.axes[0].collections
    assert [len(c.get_offsets()) for c in drawn] == [2, 1, 1, 1]
    assert np.array_equal(drawn[-1].get_offsets(), places[:1])
    sizes = [c.get_sizes()[0] for c in drawn]
    assert sizes == sorted(sizes)


def test_cells_without_a_place_are_left_out() -> None:
    obs = pd.DataFrame({"class": ["CTC", "CTC"]})
    places = np.array([[0.0, 1.0], [np.nan, np.nan]])
    figure = atlas.umap(obs, places, {"class": "By class"}, "none")
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections) == 1
    empty = atlas.umap(obs, places[[1, 1]], {"class": "By class"}, "too few cells")
    assert words(empty) == "not run: too few cells"


def test_every_draw_has_its_count_and_its_exact_interval() -> None:
    draws = pd.DataFrame(
        {"name": ["a", "b"], "count": [0.0, 5.0], "count_low": [0, 1.6], "count_high": [3.7, 11.7]}
    )
    cells = pd.DataFrame({"class": ["CTC"], "p_identity": [1e-40], "p_panel": [1e-3]})
    left, right = figures.evidence(cells, draws).axes
    bars = next(c for c in left.collections if len(c.get_paths()) == 2)
    ends = [path.vertices[:, 0].tolist() for path in bars.get_paths()]
    assert np.allclose(ends, [[0.0, 3.7], [1.6, 11.7]])
    assert right.collections[0].get_offsets().tolist() == [[30.0, 3.0]]
    assert "drawn at 30" in right.get_xlabel()


@pytest.mark.parametrize("value", [np.nan, -0.4, 0.0, 12.0])
def test_any_value_of_a_metric_is_drawn(value: float) -> None:
    figure = figures.mixing([("silhouette", value, 0.5), ("b", 1.0, value), ("c", value, value)])
    assert ("not run" in words(figure)) == bool(np.isnan(value))
    assert marks.written(figure, "png")


def test_calibration_draws_what_was_never_observed_at_the_bottom() -> None:
    observed = [[0.1, 0.12, 0.08, 0.16], [0.001, 0.0, 0.0, 0.002], [None, 1, 1, 1]]
    axis = figures.calibration(observed, "none").axes[0]
    known, never = axis.collections[-2:]
    assert known.get_offsets().tolist() == [[0.1, 0.12]]
    assert never.get_offsets()[0][1] < 0.001
    assert "no null cells" in words(figures.calibration([], "no null cells"))


def test_names_are_shortened_in_the_middle_and_always_drawable() -> None:
    assert marks.shown("short") == "short"
    long = marks.shown("a" * 30 + "z" * 30)
    assert len(long) == 22 and long.startswith("aaa") and long.endswith("zzz")
    assert marks.shown("样本") == "□□"
    assert not marks.shown("_x").startswith("_")
    assert marks.shown("a\n\tb") == "a b"
