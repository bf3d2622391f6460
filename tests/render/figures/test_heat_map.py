"""Heat map of copy number: which cells are shown, in which order, and how."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from ctcflow.render import marks
from ctcflow.render.copy_number import MOST_ROWS, Judged, judged, section
from ctcflow.render.figures import heat_map

ARMS = ["10q", "1p", "2p", "1q"]


def _cells(sample: list[str], kind: list[str], p: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    obs = pd.DataFrame(
        {"sample": pd.Categorical(sample), "class": pd.Categorical(kind), "p_copy_number": p},
        index=[f"c{i}" for i in range(len(p))],
    )
    row = np.where(np.isnan(p), np.nan, np.arange(len(p)))[:, None]
    ratio = pd.DataFrame(row + 0.01 * np.arange(4), index=obs.index, columns=ARMS)
    return obs, ratio.astype(np.float32)


def _left(found: Judged) -> Axes:
    with marks.drawing():
        figure = heat_map.heat_map(found)
        assert marks.written(figure, "png").startswith(b"\x89PNG")
    return figure.axes[0]


def test_judged_calls_come_by_sample_class_and_p_and_arms_along_the_genome() -> None:
    sample = ["b", "a", "b", "b", "b", "b", "b"]
    kind = ["uncertain", "CTC", "CTC", "CTC aggregate", "blood", "CTC", "CTC"]
    found = judged(*_cells(sample, kind, [0.5, 0.1, 0.3, 1e-9, 1e-9, 0.2, np.nan]))
    assert found.arms == ["1p", "1q", "2p", "10q"]
    assert found.sample == ["b", "b", "b", "b", "a"]
    assert found.kind == ["CTC", "CTC", "CTC aggregate", "uncertain", "CTC"]
    assert found.p.tolist() == [0.2, 0.3, 1e-9, 0.5, 0.1]
    np.testing.assert_allclose(found.log2_ratio[:, 3], [5, 2, 3, 0, 1], atol=1e-6)
    np.testing.assert_allclose(found.log2_ratio[0], [5.01, 5.03, 5.02, 5.0], rtol=1e-6)
    assert (found.n_judged, found.n_called) == (5, 6)


def test_no_call_is_dropped_for_uncertain_cells_and_p_of_those_shown_spreads() -> None:
    n = 1000
    kind = ["CTC" if i % 20 == 0 else "uncertain" for i in range(n)]
    p = (np.arange(n) + 1) / n
    found = judged(*_cells(["s"] * n, kind, p.tolist()))
    assert len(found.sample) == MOST_ROWS
    assert (found.n_judged, found.n_called) == (n, n)
    assert found.kind.count("CTC") == 50
    uncertain = found.p[np.array(found.kind) == "uncertain"]
    assert uncertain.min() < 0.01 and uncertain.max() > 0.99
    assert np.diff(uncertain).max() < 0.01
    words = " ".join(section(found, b"", []).split())
    assert "for 1,000 of 1,000 called or uncertain cells. The figure shows 200 of them" in words


def test_nothing_judged_is_one_sentence_and_where_it_was_not_run_is_said() -> None:
    obs, ratio = _cells(["a", "b"], ["CTC", "blood"], [np.nan, 0.5])
    for found in (judged(obs, ratio), judged(obs[:0], ratio[:0]), judged(obs, None)):
        assert found.sample == []
        not_run = [
            {"sample": "a", "what": "copy number", "reason": "12 reference cells, needs 50"},
            {"sample": "b", "what": "doublet score", "reason": "few cells"},
        ]
        words = section(found, b"", not_run)
        assert "The copy number of no called or uncertain cell was judged." in words
        assert "<img" not in words
        assert "12 reference cells, needs 50" in words and "few cells" not in words
        assert "table" not in section(found, b"", [])
        with marks.drawing():
            figure = heat_map.heat_map(found)
        assert "not run" in figure.texts[0].get_text()


def test_values_groups_and_gains_are_drawn_where_they_belong() -> None:
    obs, ratio = _cells(["a", "a", "b"], ["CTC", "CTC", "uncertain"], [1e-20, 0.1, 1.0])
    ratio[:] = [[0.9, -0.9, 0.0, 0.1], [0.3, np.nan, 0.2, -0.3], [np.nan, 0, 0, 0.26]]
    found = judged(obs, ratio)
    axis = _left(found)
    drawn = axis.images[0]
    np.testing.assert_allclose(
        np.ma.filled(drawn.get_array(), np.nan), found.log2_ratio, equal_nan=True
    )
    assert drawn.get_clim() == (-1.0, 1.0)  # none is white
    np.testing.assert_allclose(drawn.cmap(drawn.norm(0.0)), (1, 1, 1, 1), atol=0.01)
    # columns are 1p, 1q, 2p, 10q
    assert axis.collections[0].get_offsets().tolist() == [[3, 0], [3, 1], [1, 2]]
    labels = [text.get_text() for text in axis.get_yticklabels()]
    assert labels == ["a: CTC, 2", "b: uncertain, 1"]
    right = axis.figure.axes[1]
    (calls,) = (part for part in right.collections if len(part.get_offsets()) == 2)
    assert calls.get_offsets().tolist() == [[10.0, 0.0], [1.0, 1.0]]


def test_losses_are_darker_than_gains_so_that_grey_prints_are_read() -> None:
    steps = np.linspace(-1, 1, 21)
    colours = heat_map._COLOURS((steps + 1) / 2)[:, :3]
    grey = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(grey[:11]) > 0).all() and (np.diff(grey[10:]) < 0).all()
    assert (grey[:10] < grey[:10:-1] - 0.05).all()


@pytest.mark.parametrize("groups", [1, 3, 200])
def test_any_number_of_groups_is_drawn_and_says_how_many_are_named(groups: int) -> None:
    names = [f"sample with a long name {i}" for i in range(groups)]
    axis = _left(judged(*_cells(names, ["CTC"] * groups, [0.1] * groups)))
    assert len(axis.get_yticklabels()) * 0.1 < axis.figure.get_figheight()
    assert ("is named" in axis.get_ylabel()) == (groups == 200)
