"""Figures of quality control: positions of what is drawn, read back from the axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ctcflow.render import marks
from ctcflow.render.figures import barcodes, quality
from ctcflow.render.marks import BLUE, PURPLE, VERMILLION

LINEAGES = ("T and NK", "myeloid", "neutrophil", "other")
METRICS = ("total_counts", "n_genes_by_counts", "pct_counts_mt")


def record(name: str, lineages: tuple[str, ...] = LINEAGES, **fields: Any) -> dict[str, Any]:
    """One sample of `qc`; lineage i has 100 * (i + 1) droplets and limits of its own."""
    limits, distributions = [], []
    for i, lineage in enumerate(lineages):
        limits.append(
            {
                "lineage": lineage,
                "cells": 100 * (i + 1),
                "adaptive": lineage != "other",
                "min_umis": 200.0 + i,
                "min_genes": 100.0 + i,
                "max_pct_mt": 15.0 + i,
                "damaged_umis": 900.0 + i,
                "damaged_pct_mt": 8.0 + i,
                "high_umis": 20_000.0 + i,
                "high_genes": None,
            }
        )
        spread = np.linspace(0.0, 1.0, 41)
        for metric, low, high in (
            ("total_counts", 3, 5),
            ("n_genes_by_counts", 2, 4),
            ("pct_counts_mt", 0, 1.5),
        ):
            values = (10.0 ** (low + (high - low) * spread)).tolist()
            distributions.append({"lineage": lineage, "metric": metric, "values": values})
    return {"sample": name, "limits": limits, "distributions": distributions, **fields}


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.texts]
    for legend in (*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())):
        texts += [text.get_text() for text in legend.get_texts()]
    for axis in figure.axes:
        found = (*axis.texts, *axis.get_yticklabels(), *axis.get_xticklabels(), axis.title)
        texts += [t.get_text() for t in (*found, axis.xaxis.label)]
    return " | ".join([*texts, figure.get_supxlabel()])


def uprights(axis: Axes, colour: str) -> list[float]:
    """Places of the vertical lines of one colour, from the top."""
    found = [c for c in axis.collections if isinstance(c, LineCollection)]
    mine = [c for c in found if to_hex(c.get_color()[0]).upper() == colour]
    return [segment[0][0] for c in mine for segment in c.get_segments()]


def heights(lines: LineCollection) -> list[list[float]]:
    """Both ends of the lines of a strip that are drawn at all."""
    ends = [[point[1] for point in segment] for segment in lines.get_segments()]
    return [pair for pair in ends if len(pair) == 2 and np.isfinite(pair).all()]


def test_each_lineage_has_its_quantiles_its_median_and_its_limits() -> None:
    figure = quality.quality([record("a"), record("b", LINEAGES[:1])], ["a", "b"])
    umis, genes, mt = figure.axes
    labels = [label.get_text() for label in umis.get_yticklabels()]
    own = ["T and NK  100", "myeloid  200", "neutrophil  300", "other  400"]
    assert labels == ["a", *own, "b", "T and NK  100"]
    for axis in figure.axes:
        heights_of_points = np.round(axis.collections[0].get_offsets()[:, 1]).astype(int)
        assert np.unique_counts(heights_of_points).counts.tolist() == [41] * 5
        assert np.unique(heights_of_points).tolist() == [1, 2, 3, 4, 6]
    (medians,) = (line for line in umis.lines if line.get_marker() == "o")
    assert np.allclose(medians.get_xydata(), [[10_000, place] for place in (1, 2, 3, 4, 6)])
    assert uprights(umis, VERMILLION) == [200, 201, 202, 203, 200]
    assert uprights(genes, VERMILLION) == [100, 101, 102, 103, 100]
    assert uprights(mt, VERMILLION) == [15, 16, 17, 18, 15]
    assert uprights(umis, PURPLE) == [900, 901, 902, 903, 900]
    assert uprights(mt, PURPLE) == [8, 9, 10, 11, 8] and not uprights(genes, PURPLE)
    assert uprights(umis, BLUE) == [20_000, 20_001, 20_002, 20_003, 20_000]
    assert not uprights(genes, BLUE) and not uprights(mt, BLUE)


def test_arrows_point_to_what_is_set_aside_and_are_open_where_nothing_was_measured() -> None:
    umis, _, mt = quality.quality([record("a")], ["a"]).axes
    for axis, shape in ((umis, quality.CARETLEFTBASE), (mt, quality.CARETRIGHTBASE)):
        measured, given = (line for line in axis.lines if line.get_marker() == shape)
        assert measured.get_markerfacecolor() == VERMILLION
        assert measured.get_ydata().tolist() == [1, 2, 3]
        assert given.get_markerfacecolor() == "white"
        assert given.get_ydata().tolist() == [4]


def test_limits_that_are_not_there_are_not_drawn_and_not_in_the_legend() -> None:
    found = record("reads", umis=False)
    for limit in found["limits"]:
        limit |= {"min_umis": None, "damaged_umis": None, "high_umis": None, "adaptive": True}
    found["limits"][0]["min_genes"] = 0
    figure = quality.quality([found], ["reads"])
    umis, genes, mt = figure.axes
    assert not any(uprights(umis, colour) for colour in ("-", "--", BLUE))
    assert uprights(genes, VERMILLION) == [101, 102, 103]
    # Only both limits together set a droplet aside as damaged.
    assert not uprights(mt, PURPLE)
    said = words(figure)
    assert "reads: read counts" in said and "measured on the lineage" in said
    assert not any(word in said for word in ("damaged", "remark", "parameters"))


def test_lineages_without_a_droplet_are_left_out_and_samples_without_one_say_so() -> None:
    found = record("a")
    found["limits"].append({"lineage": "B", "cells": 0, "min_umis": 9.0})
    found["distributions"].append({"lineage": "B", "metric": "total_counts", "values": []})
    figure = quality.quality([found], ["a", "nothing"])
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[-1] == "nothing: no cell" and not any("B" in label for label in labels)
    assert 9.0 not in uprights(figure.axes[0], VERMILLION)


def test_droplets_without_counts_are_drawn_at_one_and_it_is_said() -> None:
    found = record("a")
    found["distributions"][0]["values"] = [0.0, 4.0, 80.0]
    umis, genes, _ = quality.quality([found], ["a"]).axes
    assert umis.collections[0].get_offsets()[:3, 0].tolist() == [1.0, 4.0, 80.0]
    assert umis.get_xlabel() == "0 is drawn at 1" and genes.get_xlabel() == ""


def test_many_samples_become_strips_with_the_range_of_their_limits() -> None:
    names = [f"s{i}" for i in range(30)]
    figure = quality.quality([record(name) for name in names[:-1]], names)
    umis, _, mt = figure.axes
    spans, boxes, medians, limits, *caps = umis.collections
    assert len(heights(spans)) == len(heights(boxes)) == 29
    assert np.isfinite(medians.get_offsets()[:, 1]).sum() == 29
    assert np.allclose(heights(limits), [[200, 203]] * 29)
    assert [np.unique(heights(cap)).tolist() for cap in caps] == [[200], [203]]
    assert heights(mt.collections[3])[0] == [15, 18]
    assert len(mt.get_xticklabels()) == 30


def test_a_lineage_counts_in_a_strip_for_as_many_droplets_as_it_has() -> None:
    few, many = record("a", ("T and NK",)), record("a", ("T and NK",))
    for found, lineage, cells, counts in ((few, "B", 1, 10.0), (many, "B", 10_000, 10.0)):
        found["limits"].append({"lineage": lineage, "cells": cells})
        found["distributions"].append(
            {"lineage": "B", "metric": "total_counts", "values": [counts] * 9}
        )
    for found, median in ((few, 10_000.0), (many, 10.0)):
        umis = quality.quality([found], ["a", *map(str, range(8))]).axes[0]
        assert umis.collections[2].get_offsets()[0, 1] == pytest.approx(median, rel=0.2)


@pytest.mark.parametrize("samples", [0, 1, 3, 8, 9, 30, 200])
def test_any_number_of_samples_fits_a_page_and_gives_the_same_bytes_twice(samples: int) -> None:
    records = [record(f"s{i}") for i in range(samples)]
    written = []
    for _ in range(2 if samples in (0, 3, 30) else 1):
        with marks.drawing():
            figure = quality.quality(records, [r["sample"] for r in records])
            written.append(marks.written(figure, "png"))
    assert written[0].startswith(b"\x89PNG") and len(set(written)) == 1
    assert figure.get_size_inches()[1] <= 13.0
    assert ("no sample" in words(figure)) == (samples == 0)
    assert len(figure.axes[-1].get_xticks() if figure.axes else []) <= 40


def with_droplets(name: str, **changed: Any) -> dict[str, Any]:
    curve = [[1, 10_000], [10, 5000], [100, 1000], [1000, 100], [10_000, 1]]
    droplets = {
        "barcodes": 737_280,
        "lower": 100,
        "retain": 4321.0,
        "knee": 5000.0,
        "inflection": 1000.0,
        "tested": 321,
        "outside": 7,
        "curve": curve,
        "cells_curve": curve[:3],
    }
    return record(name, droplets=droplets | changed)


def test_knee_inflection_and_both_limits_are_marked_and_named() -> None:
    (axis,) = barcodes.droplets([record("without"), with_droplets("a")]).axes
    assert axis.get_title(loc="left") or axis.get_title() == "a"
    drawn = {line.get_label(): line for line in axis.lines}
    assert set(drawn) == {
        "given as cells",
        "all 737,280 barcodes",
        "cells without a test from 4,321",
        "ambient sample up to 100",
        "knee 5,000",
        "inflection 1,000",
    }
    assert len(drawn["all 737,280 barcodes"].get_xdata()) == 5
    assert len(drawn["given as cells"].get_xdata()) == 3
    assert drawn["ambient sample up to 100"].get_ydata()[0] == 100
    # On the curve, at the rank that has so many counts.
    assert drawn["knee 5,000"].get_xydata().tolist() == [[pytest.approx(10), 5000]]
    assert drawn["inflection 1,000"].get_xydata().tolist() == [[pytest.approx(100), 1000]]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    assert "321 tested" in axis.texts[0].get_text()
    assert "7 cells outside" in axis.texts[0].get_text()


def test_points_that_were_not_found_are_not_marked() -> None:
    changed = {"knee": None, "inflection": None, "cells_curve": [], "curve": [[1, 5], [2, 0]]}
    nothing = dict.fromkeys(with_droplets("b")["droplets"])
    figure = barcodes.droplets([with_droplets("a", **changed), with_droplets("b", **nothing)])
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert len(labels) == 3 and not any("knee" in label for label in labels)
    assert not figure.axes[1].lines
    assert marks.written(figure, "png")


def test_without_unfiltered_droplets_the_figure_says_so() -> None:
    for records in ([], [record("a")], [record("a", droplets=None)]):
        assert "no unfiltered droplets were given" in words(barcodes.droplets(records))


@pytest.mark.parametrize(("samples", "said"), [(1, ""), (3, ""), (12, ""), (30, "18 more")])
def test_twelve_samples_have_a_panel_and_the_rest_is_counted(samples: int, said: str) -> None:
    records = [with_droplets(f"s{i}") for i in range(samples)]
    written = []
    for _ in range(2 if samples == 3 else 1):
        with marks.drawing():
            figure = barcodes.droplets(records)
            written.append(marks.written(figure, "png"))
    assert len(set(written)) == 1
    assert sum(bool(axis.lines) for axis in figure.axes) == min(samples, 12)
    assert ("not shown" in figure.get_supxlabel()) == bool(said)
    assert said in figure.get_supxlabel()
    assert figure.get_size_inches()[1] <= 13.0
    assert barcodes.not_shown(13) == "The first 12 samples; 1 more sample is not shown."
