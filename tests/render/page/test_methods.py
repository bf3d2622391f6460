"""The methods text follows from what was run, and cites the methods that it names."""

from __future__ import annotations

import re

import pytest

from ctcflow.render.page.methods import methods
from ctcflow.settings.params import StepsParams

DEFAULTS = StepsParams().model_dump(mode="json")
STEPS = {
    name: {"version": "1.2", "params": DEFAULTS[name]}
    for name in ("ingest", "qc", "normalize", "score", "call", "reduce", "integrate", "cluster")
}


def written(steps=STEPS, *, resolution="0.5", compared=False, mapped=False) -> str:
    page = methods(
        steps,
        versions={"numpy": "9.9"},
        resolution=resolution,
        compared=compared,
        mapped=mapped,
    )
    return re.sub(r"<[^>]+>", " ", page).replace("&lt;", "<")


def test_parameters_of_the_run_are_in_the_words():
    text = written()
    assert "floors of 100 counts and 50 genes" in text
    assert "between 15 and 50 % of counts" in text
    assert "q <= 0.05 and p <= 0.001" in text
    assert "exact intervals of 95 %" in text
    assert "2,000 variable genes" in text
    assert "30 principal components" in text
    assert "15 nearest neighbours" in text
    assert "resolution 0.5" in text
    assert "ctcflow 1.2 was used, with numpy 9.9." in text
    assert "None" not in text
    assert "–" not in text


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"method": "harmony"}, "Harmony (doi:10.1038/s41592-019-0619-0)"),
        ({"method": "linear"}, "one shift each"),
        ({"method": "none"}, "Batches were not corrected"),
    ],
)
def test_the_method_that_ran_is_the_one_that_is_named(method, said):
    steps = STEPS | {"integrate": {"version": "1.2", "params": {"method": method}}}
    text = written(steps)
    assert said in text
    assert ("Harmony" in text) == (method["method"] == "harmony")


def test_what_did_not_run_is_not_claimed():
    assert "DESeq2" not in written()
    assert "DESeq2" in written(compared=True)
    assert "Leiden" not in written(resolution="")
    alone = {"call": STEPS["call"]}
    text = written(alone)
    assert "UMAP" not in text
    assert "Quality control" not in text
    mapped = written(mapped=True)
    assert "Symphony" in mapped
    assert "Harmony" not in mapped
    assert written({}).count("unknown version") == 1


def test_ambient_rna_that_was_taken_out_is_said():
    qc = {"version": "1.2", "params": DEFAULTS["qc"] | {"ambient": "correct"}}
    assert "taken out of the counts" in written(STEPS | {"qc": qc})
    assert "counts were not changed" in written()
