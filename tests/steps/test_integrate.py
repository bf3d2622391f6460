"""`integrate` alone: both methods on difficult batches, its record, and cells it must not move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from ctcflow.settings.params import IntegrateParams
from ctcflow.steps.integrate import integrate

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)

METHODS = ("harmony", "linear")
LINEAGES = np.array(["B", "NK", "T"], dtype=object)


def params(method: str, **given: Any) -> IntegrateParams:
    return IntegrateParams.model_validate({"method": {"method": method}, **given})


def embedding(*batches: tuple[str, list[int]], tumour: dict[str, int] | None = None) -> Any:
    """Per batch its cells of B, NK and T, and its CTCs; each batch is shifted by its place."""
    rng = np.random.default_rng(0)
    rows, points = [], []
    for place, (batch, sizes) in enumerate(batches):
        kinds = np.repeat(np.arange(3), sizes)
        shift = place * np.array([1.0, 2.0, 0.5, 0.0, -1.0])
        points.append(rng.normal(size=(kinds.size, 5)) + 9 * np.eye(5)[kinds] + shift)
        rows += [(batch, "blood", LINEAGES[kind]) for kind in kinds]
        n = (tumour or {}).get(batch, 0)
        points.append(rng.normal(size=(n, 5)) + 30 * np.eye(5)[4] + shift)
        rows += [(batch, "CTC", "T")] * n
    obs = pd.DataFrame(rows, columns=["batch", "class", "lineage"], dtype=object)
    obs.insert(0, "sample", obs["batch"])
    obs.index = pd.Index([f"c{i}" for i in range(len(obs))], dtype=object)
    adata = anndata.AnnData(obs=obs)
    adata.obsm["X_pca"] = np.concatenate(points).astype(np.float32)
    return adata


def moved(adata: anndata.AnnData) -> np.ndarray:
    """Mean shift of the cells of each batch, by name."""
    shift = np.asarray(adata.obsm["X_integrated"], float) - adata.obsm["X_pca"]
    return pd.DataFrame(shift).groupby(adata.obs["batch"].to_numpy(object)).mean()


def found(adata: anndata.AnnData) -> dict[str, Any]:
    return json.loads(adata.uns["integrate"], parse_constant=pytest.fail)


@pytest.mark.parametrize("method", METHODS)
def test_batches_are_mixed_and_lineages_and_tumour_cells_kept(method: str) -> None:
    adata = embedding(("a", [40, 40, 40]), ("b", [20, 60, 30]), tumour={"b": 8})
    said = found(integrate(adata, params=params(method)))
    assert said["method"] == method and said["reason"] == ""
    for metric in ("iLISI", "batch_entropy", "acceptance"):
        assert said["mixing"]["after"][metric] > said["mixing"]["before"][metric]
    for metric in ("cLISI", "graph_connectivity"):
        assert said["conservation"]["after"][metric] >= said["conservation"]["before"][metric]
    apart = {"before": 1.0, "after": 1.0, "cells": 8, "measured": 8, "neighbors": 7}
    assert said["separability"] == apart
    assert all(record["reason"] == "" for record in said["batches"].values())


def test_a_linear_correction_takes_the_shift_off_and_every_cell_along() -> None:
    adata = embedding(("a", [500, 300, 200]), ("b", [100, 100, 800]), tumour={"b": 5})
    integrate(adata, params=params("linear"))
    shift = moved(adata)
    expected = np.array([1.0, 2.0, 0.5, 0.0, -1.0])
    np.testing.assert_allclose(shift.loc["a"] - shift.loc["b"], expected, atol=0.25)
    # One shift per batch, the same for the tumour cells.
    own = np.asarray(adata.obsm["X_integrated"], float) - adata.obsm["X_pca"]
    np.testing.assert_allclose(own[adata.obs["batch"] == "b"], shift.loc[["b"] * 1005], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lineages", [[0, 0, 1], [0, 0, 9]])
def test_a_batch_of_a_few_cells(method: str, lineages: list[int]) -> None:
    adata = embedding(("a", [30, 30, 30]), ("b", [30, 30, 30]), ("few", lineages))
    said = found(integrate(adata, params=params(method)))
    assert np.isfinite(adata.obsm["X_integrated"]).all()
    reason = said["batches"]["few"]["reason"]
    assert reason == ("" if method == "harmony" else "fewer than 10 leukocytes of each lineage")
    assert (moved(adata).loc["few"] == 0).all() == (method == "linear")
    assert said["batches"]["a"]["reason"] == ""
    assert (moved(adata).loc["a"] != 0).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_without_a_shared_lineage_is_left(method: str) -> None:
    adata = embedding(("a", [40, 0, 40]), ("b", [40, 0, 20]), ("other", [0, 40, 0]))
    said = found(integrate(adata, params=params(method)))
    assert "no lineage is shared with another batch" in said["batches"]["other"]["reason"]
    assert (moved(adata).loc["other"] == 0).all()
    assert (moved(adata).loc[["a", "b"]] != 0).all(axis=None)
    nothing = embedding(("a", [40, 0, 0]), ("b", [0, 40, 0]), tumour={"a": 3})
    said = found(integrate(nothing, params=params(method)))
    assert "no two of 2 batches can be compared" in said["reason"]
    assert said["method"] == "none"
    assert np.array_equal(nothing.obsm["X_integrated"], nothing.obsm["X_pca"])


def test_a_few_cells_of_a_wrong_lineage_do_not_tie_batches() -> None:
    adata = embedding(("a", [40, 3, 40]), ("b", [40, 0, 20]), ("other", [0, 40, 0]))
    said = found(integrate(adata, params=params("linear")))
    assert "with at least 10 leukocytes in each" in said["batches"]["other"]["reason"]
    assert (moved(adata).loc["other"] == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_of_tumour_cells_only_is_left(method: str) -> None:
    adata = embedding(
        ("a", [30, 30, 30]), ("b", [30, 30, 30]), ("ctc", [0, 0, 0]), tumour={"ctc": 6, "a": 4}
    )
    said = found(integrate(adata, params=params(method)))
    record = {"cells": 6, "leukocytes": 0, "reason": "no leukocytes"}
    assert said["batches"]["ctc"] == record
    assert (moved(adata).loc["ctc"] == 0).all()
    assert said["separability"]["cells"] == 10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("batches", "why"),
    [
        ([("a", [30, 30, 30])], "leukocytes of one batch only"),
        ([("a", [1, 1, 1])], "3 leukocytes in the cohort, at least 20"),
        ([("a", [1, 0, 1]), ("b", [0, 0, 1])], "3 leukocytes in the cohort, at least 20"),
        ([("a", [0, 0, 0])], "0 leukocytes in the cohort"),
        ([("a", [9, 9, 9]), ("b", [9, 9, 9])], None),
    ],
)
def test_small_cohorts_run_and_are_written(
    method: str, batches: list, why: str | None, tmp_path: Path
) -> None:
    adata = integrate(embedding(*batches), params=params(method))
    said = found(adata)
    if why is None:
        why = "" if method == "harmony" else "fewer than 10 leukocytes of each lineage"
    assert why in said["reason"] and bool(why) == bool(said["reason"])
    assert all((record["reason"] != "") == (why != "") for record in said["batches"].values())
    assert np.isfinite(adata.obsm["X_integrated"]).all()
    assert said["separability"] is None and "0 CTCs" in said["separability_reason"]
    with anndata.settings.override(allow_write_nullable_strings=False):
        adata.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad").uns["correction"]
    assert set(read) == {"cluster_sizes", "cluster_sums", "lineages", "lineage_means"}
    assert read["cluster_sums"].shape == (len(read["cluster_sizes"]), 5)
    assert read["lineage_means"].shape == (len(read["lineages"]), 5)
    assert (len(read["cluster_sizes"]) > 0) == (why == "" and method == "harmony")


def test_what_mapping_needs_is_of_the_corrected_leukocytes(tmp_path: Path) -> None:
    batches = (("a", [40, 40, 40]), ("b", [20, 60, 30]))
    adata = integrate(embedding(*batches, tumour={"b": 8}), params=params("linear"))
    adata.write_h5ad(tmp_path / "a.h5ad")
    left = anndata.read_h5ad(tmp_path / "a.h5ad").uns["correction"]
    assert list(left["lineages"]) == list(LINEAGES)
    blood = (adata.obs["class"] == "blood").to_numpy()
    for name, mean in zip(left["lineages"], left["lineage_means"], strict=True):
        cells = blood & (adata.obs["lineage"] == name).to_numpy()
        np.testing.assert_allclose(adata.obsm["X_integrated"][cells].mean(axis=0), mean, atol=1e-5)
    adata = integrate(embedding(*batches, tumour={"b": 8}), params=params("harmony"))
    left = adata.uns["correction"]
    assert left["cluster_sizes"].sum() == pytest.approx(230, rel=1e-4)
    total = adata.obsm["X_integrated"][blood].sum(axis=0)
    np.testing.assert_allclose(left["cluster_sums"].sum(axis=0), total, rtol=1e-3, atol=0.1)


def test_a_batch_that_is_left_pulls_nobody() -> None:
    two = embedding(("a", [40, 0, 40]), ("b", [40, 0, 20]))
    three = embedding(("a", [40, 0, 40]), ("b", [40, 0, 20]), ("other", [0, 40, 0]))
    for method in METHODS:
        first = integrate(two.copy(), params=params(method)).obsm["X_integrated"]
        second = integrate(three.copy(), params=params(method)).obsm["X_integrated"]
        assert np.array_equal(first, second[: len(first)])


def test_confounding_is_of_samples_and_said_in_words() -> None:
    adata = embedding(*((f"s{i}", [8, 8, 8]) for i in range(8)))
    number = adata.obs["sample"].str[1:].astype(int)
    adata.obs["batch"] = np.where(number < 4, "first", "second").astype(object)
    adata.obs["condition"] = np.where(number < 4, "before", "after").astype(object)
    adata.obs["role"] = "patient"
    adata.obs["patient"] = ("P" + (number // 2).astype(str)).astype(object)
    adata.obs["chemistry"] = np.where(number % 2 == 0, "v2", "").astype(object)
    said = found(integrate(adata.copy(), params=params("linear")))["confounding"]
    by_column = {record["column"]: record for record in said}
    assert list(by_column) == ["condition", "patient"]  # the others are constant
    assert "cannot be told apart" in by_column["condition"]["words"]
    assert by_column["condition"]["cramers_v"] == pytest.approx(1)
    # All 70 ways to divide 8 samples, of which 2 are as extreme.
    assert by_column["condition"]["p"] == pytest.approx(2 / 70, abs=0.015)
    assert "every patient is in one batch only (usual" in by_column["patient"]["words"]
    assert all(record["samples"] == 8 for record in said)
    again = found(integrate(adata.copy(), params=params("harmony", seed=0)))["confounding"]
    assert again == said
    own = found(integrate(adata.copy(), params=params("linear", batch="sample")))["confounding"]
    assert all("every batch is one sample" in record["words"] for record in own)
    patients = found(integrate(adata.copy(), params=params("linear", batch="patient")))
    assert [record["column"] for record in patients["confounding"]] == ["condition"]


def test_one_tumour_cell_has_no_separability() -> None:
    adata = embedding(("a", [30, 30, 30]), ("b", [30, 30, 30]), tumour={"a": 1})
    said = found(integrate(adata, params=params("harmony")))
    assert said["separability"] is None
    assert said["separability_reason"] == "1 CTCs or aggregates, at least 2 are needed"


def test_two_tumour_cells_have_a_separability() -> None:
    adata = embedding(("a", [30, 30, 30]), ("b", [30, 30, 30]), tumour={"a": 2})
    said = found(integrate(adata, params=params("linear")))
    apart = {"before": 1.0, "after": 1.0, "cells": 2, "measured": 2, "neighbors": 1}
    assert (said["separability"], said["separability_reason"]) == (apart, "")


@pytest.mark.parametrize("method", METHODS)
def test_without_components_nothing_is_corrected_and_it_is_said(method: str) -> None:
    adata = embedding(("a", [30, 30, 30]), ("b", [30, 30, 30]), tumour={"a": 2})
    adata.obsm["X_pca"] = adata.obsm["X_pca"][:, :0]
    said = found(integrate(adata, params=params(method)))
    assert said["reason"] == "there are no components"
    assert (said["separability"], said["separability_reason"]) == (None, "no components")


def test_harmony_gets_the_theta_and_rounds_that_were_asked_for() -> None:
    def points(**given: object) -> np.ndarray:
        adata = embedding(("a", [40, 20, 40]), ("b", [20, 60, 5]))
        asked = IntegrateParams.model_validate({"method": {"method": "harmony", **given}})
        return np.asarray(integrate(adata, params=asked).obsm["X_integrated"])

    usual = points()
    assert np.array_equal(points(theta=2.0), usual)
    assert not np.array_equal(points(theta=0.0), usual)
    assert not np.array_equal(points(max_iterations=1), usual)
