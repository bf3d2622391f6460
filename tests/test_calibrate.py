"""`ctcflow calibrate`: p-values for any score, from file to table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from ctcflow import cli
from ctcflow.calibrate import TABLES, cells_of, judged

Tables = dict[str, pd.DataFrame]


@pytest.fixture
def given(run_folder: Path, tmp_path: Path) -> Path:
    """The patient's file with scores in obs."""
    adata = anndata.read_h5ad(run_folder / "data" / "P1_d0" / "counts.h5ad")
    rng = np.random.default_rng(0)
    adata.obs["noise"] = rng.normal(size=adata.n_obs)
    gaps = adata.obs["noise"].to_numpy().copy()
    gaps[[3, 5]] = np.nan, np.inf
    adata.obs["gaps"] = gaps
    adata.obs["level"] = rng.integers(0, 9, adata.n_obs)
    adata.obs["one"] = 0.5
    adata.obs["nothing"] = np.nan
    adata.obs["word"] = pd.Categorical(["high"] * adata.n_obs)
    adata.obs["yes"] = rng.random(adata.n_obs) < 0.5
    path = tmp_path / "scored.h5ad"
    adata.write_h5ad(path)
    return path


def _table(path: Path, score: str, *more: str) -> pd.DataFrame:
    out = path.with_suffix(".tsv")
    argv = ["calibrate", str(path), "--score", score, "--output", str(out), *more]
    assert cli.main(argv) == 0
    return pd.read_csv(out, sep="\t", keep_default_na=False, na_values=[""])


def test_a_table_of_every_cell_in_the_order_of_the_file(
    given: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    table = _table(given, "gaps")
    adata = anndata.read_h5ad(given)
    assert table["barcode"].tolist() == adata.obs_names.tolist()
    np.testing.assert_array_equal(table["counts"], np.asarray(adata.X.sum(axis=1)).ravel())
    without = table["p"].isna()
    assert np.flatnonzero(without).tolist() == [3, 5]
    assert table["p"][~without].between(0, 1).all()
    np.testing.assert_allclose(
        table["expected_false"][~without], table["p"][~without] * (~without).sum(), rtol=1e-5
    )
    assert (table["q"] >= table["p"])[~without].all()
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "2 without a finite score" in said
    assert f"null: {int((table['is_leukocyte'] & ~without).sum())} sure leukocytes" in said
    assert "half they are not in: " in said


def test_lower_scores_are_higher_ones_with_the_other_sign(given: Path) -> None:
    adata = anndata.read_h5ad(given)
    adata.obs["turned"] = -adata.obs["noise"]
    adata.write_h5ad(given)
    np.testing.assert_array_equal(
        _table(given, "turned", "--lower")["p"], _table(given, "noise")["p"]
    )


def test_the_order_of_the_file_does_not_matter_and_whole_numbers_are_scores(given: Path) -> None:
    table = _table(given, "level").set_index("barcode")
    adata = anndata.read_h5ad(given)
    adata[np.random.default_rng(1).permutation(adata.n_obs)].copy().write_h5ad(given)
    other = _table(given, "level").set_index("barcode").loc[table.index]
    pd.testing.assert_frame_equal(other, table)


def test_counts_may_be_in_a_layer(given: Path) -> None:
    table = _table(given, "noise")
    adata = anndata.read_h5ad(given)
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.log1p(adata.X.toarray() * 1.7)
    adata.write_h5ad(given)
    pd.testing.assert_frame_equal(_table(given, "noise"), table)


def test_without_an_output_the_table_is_printed(
    given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["calibrate", str(given), "--score", "noise"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == anndata.read_h5ad(given).n_obs + 1
    assert lines[0].startswith("barcode\tscore\tcounts\t")


@pytest.mark.parametrize(
    ("score", "reason"),
    [("one", "all cells have the score 0.5"), ("nothing", "0 sure leukocytes have a score")],
)
def test_what_cannot_be_judged_is_said_and_has_no_p(
    given: Path, caplog: pytest.LogCaptureFixture, score: str, reason: str
) -> None:
    caplog.set_level("INFO")
    table = _table(given, score)
    assert table["p"].isna().all()
    assert any(f"not judged: {reason}" in record.getMessage() for record in caplog.records)


def test_too_few_leukocytes_are_no_null(
    given: Path,
    is_ctc: Callable[[anndata.AnnData], np.ndarray],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    adata = anndata.read_h5ad(given)
    chosen = is_ctc(adata) | (np.arange(adata.n_obs) < 90)
    adata[chosen].copy().write_h5ad(given)
    assert _table(given, "noise")["p"].isna().all()
    assert "sure leukocytes have a score, a null needs 100" in caplog.text


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("noize", "has no obs column `noize`: did you mean `noise`?"),
        ("xyz", "has no obs column `xyz`: name one of ["),
        ("word", "holds category values (first 'high'): name a column of numbers"),
        ("yes", "holds bool values (first 'True'): name a column of numbers"),
    ],
)
def test_a_column_that_is_no_score_is_one_line(
    given: Path, capsys: pytest.CaptureFixture[str], score: str, message: str
) -> None:
    assert message in _refused(capsys, given, "--score", score)


def test_a_file_without_raw_counts_is_one_line(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adata = anndata.read_h5ad(given)
    adata.X = np.log1p(adata.X.toarray() * 1.7)
    adata.write_h5ad(given)
    line = _refused(capsys, given, "--score", "noise")
    assert line.startswith(f"`{given}`: ")
    assert "give raw counts" in line
    given.write_bytes(given.read_bytes()[:5000])
    assert "cannot be read" in _refused(capsys, given, "--score", "noise")
    gone = tmp_path / "gone.h5ad"
    assert str(gone) in _refused(capsys, gone, "--score", "noise")


def test_the_input_and_folders_are_no_output(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = given.read_bytes()
    for output in (given, tmp_path):
        line = _refused(capsys, given, "--score", "noise", "--output", str(output))
        assert line.endswith("name a .tsv file")
    below = given / "table.tsv"
    assert "cannot be written" in _refused(
        capsys, given, "--score", "noise", "--output", str(below)
    )
    assert given.read_bytes() == before


def _refused(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> str:
    assert cli.main(["calibrate", str(path), *more]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    (line,) = [line for line in found.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in found.err
    return line.removeprefix("error: ")


def test_tumour_cells_change_no_p_of_other_cells(
    patient: anndata.AnnData, is_ctc: Callable[[anndata.AnnData], np.ndarray], tables: Tables
) -> None:
    """One cell in ten is a tumour cell, and scores high."""
    tumour = is_ctc(patient)
    score = np.random.default_rng(0).normal(size=patient.n_obs) + 5.0 * tumour
    used = {name: tables[name] for name in TABLES}
    every = cells_of(patient, used)
    assert not every.is_leukocyte[tumour].any()
    assert every.is_leukocyte[~tumour].mean() > 0.9
    with_them = judged(every, score, name="s", lower=False).table
    alone = judged(cells_of(patient[~tumour], used), score[~tumour], name="s", lower=False).table
    np.testing.assert_array_equal(with_them["p"][~tumour], alone["p"])
    assert (with_them["p"][tumour] < 0.02).mean() > 0.9


def test_the_score_chooses_no_leukocytes(patient: anndata.AnnData, tables: Tables) -> None:
    cells = cells_of(patient, {name: tables[name] for name in TABLES})
    rng = np.random.default_rng(1)
    for score in (rng.normal(size=patient.n_obs), cells.counts, -cells.counts):
        found = judged(cells, score, name="s", lower=False).table
        np.testing.assert_array_equal(found["is_leukocyte"], cells.is_leukocyte)
        null = found["p"][cells.is_leukocyte].dropna()
        assert null.size == cells.is_leukocyte.sum()
        assert (null <= 0.05).mean() < 0.1


def test_the_check_does_not_depend_on_the_order_of_the_file(
    patient: anndata.AnnData, tables: Tables
) -> None:
    cells = cells_of(patient, {name: tables[name] for name in TABLES})
    score = np.random.default_rng(2).normal(size=patient.n_obs)
    order = np.random.default_rng(3).permutation(patient.n_obs)
    turned = type(cells)(*(part[order] for part in cells))
    one = judged(cells, score, name="s", lower=False).check
    assert one == judged(turned, score[order], name="s", lower=False).check
    assert [level for level, *_ in one] == [0.1, 0.01, 0.001]


def test_genes_of_tumour_panels_do_not_tell_leukocytes(
    patient: anndata.AnnData, tables: Tables
) -> None:
    """A score may be made of them: leukocytes that show them stay in the null."""
    used = {name: tables[name] for name in TABLES}
    before = cells_of(patient, used)
    members = patient.var_names.isin(tables["panels"]["gene"])
    dense = patient.X.toarray()
    dense[:, members] += 20
    patient.X = type(patient.X)(dense)
    after = cells_of(patient, used)
    assert members.sum() > 20
    np.testing.assert_array_equal(after.is_leukocyte, before.is_leukocyte)
    np.testing.assert_array_equal(after.kind, before.kind)
