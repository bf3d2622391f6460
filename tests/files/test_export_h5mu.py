"""Export as MuData: what mudata reads is what the samples contain."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow import cli
from ctcflow.files import io
from ctcflow.formats.read import read_counts

GENES = {"a": ["EPCAM", "CD4", "G2"], "b": ["G2", "G3"], "c": ["CD4"]}
PANELS = {"a": ["CD3", "HLA-A/B", "CD4"], "b": [], "c": ["CD4", "CD3", "HLA-A/B"]}
CELLS = 4


def _library(name: str, rng: np.random.Generator, panel: list[str]) -> anndata.AnnData:
    """One library; its antibodies by name, and hashtags in `a`."""
    obs = pd.DataFrame({"sample": name}, index=[f"c{i}" for i in range(CELLS)]).astype(object)
    var = pd.DataFrame({"gene_id": [f"E{g}" for g in GENES[name]]}, index=GENES[name], dtype=object)
    counts = rng.poisson(1.0, (CELLS, len(var))).astype(np.int32)
    library = anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)
    tables = {"protein": panel, "hashtag": ["HTO_A", "HTO_B"] if name == "a" else []}
    for key, names in tables.items():
        if names:
            columns = [each.replace("/", "|") for each in names]
            library.obsm[key] = pd.DataFrame(
                rng.poisson(30, (CELLS, len(names))).astype(np.int32),
                index=library.obs_names,
                columns=columns,
            )
            named = {"name": names, "id": [f"id {n}" for n in names], "type": [key] * len(names)}
            library.uns[f"{key}_features"] = json.dumps(named)
    library.uns["ctcflow"] = json.dumps({"sample": {"sample": name}, "steps": {}})
    return library


def _finished(
    run: Path, panels: dict[str, list[str]] = PANELS
) -> tuple[anndata.AnnData, dict[str, anndata.AnnData]]:
    """A run of three libraries; the second cell of `a` is set aside."""
    rng = np.random.default_rng(0)
    libraries = {}
    for name, panel in panels.items():
        library = _library(name, rng, panel)
        io.write_h5ad(run / "results" / "ingest" / f"{name}.h5ad", library, delivered=False)
        keep = [True, name != "a", True, True]
        qc = anndata.AnnData(obs=pd.DataFrame({"keep": keep}, index=library.obs_names))
        qc.uns["ctcflow"] = library.uns["ctcflow"]
        io.write_h5ad(run / "results" / "qc" / f"{name}.h5ad", qc, delivered=False)
        libraries[name] = library[np.array(keep)].copy()
    names = [f"{n}:{cell}" for n, library in libraries.items() for cell in library.obs_names]
    obs = pd.DataFrame({"sample": [n.split(":")[0] for n in names]}, index=names)
    obs["class"] = pd.Categorical(["CTC", *["blood"] * (len(names) - 1)])
    obs["p"] = rng.random(len(names))
    cohort = anndata.AnnData(obs=obs)
    cohort.obsm["X_umap"] = rng.normal(size=(len(names), 2)).astype(np.float32)
    cohort.uns["ctcflow"] = json.dumps({"sample": None, "steps": {}})
    io.write_h5ad(run / "results" / "cluster" / "cohort.h5ad", cohort, delivered=True)
    return cohort, libraries


def _export(run: Path, *more: str) -> int:
    return cli.main(["export", "--run", str(run), "--h5mu", *more])


def _joined(tables: list[pd.DataFrame]) -> np.ndarray:
    return pd.concat(tables).fillna(0).to_numpy()


def test_mudata_reads_what_the_samples_hold(tmp_path: Path) -> None:
    import mudata

    same = PANELS | {"c": PANELS["a"]}
    cohort, libraries = _finished(tmp_path, same)
    assert _export(tmp_path) == 0
    path = tmp_path / "results" / "cluster" / "cohort.h5mu"
    found = mudata.read_h5mu(path)  # warnings are errors here
    assert path.read_bytes()[:6] == b"MuData"
    assert list(found.mod) == ["rna", "protein", "hashtag"]
    assert found.obs_names.tolist() == cohort.obs_names.tolist()
    rna = found["rna"]
    expected = _joined(
        [pd.DataFrame(lib.X.toarray(), columns=GENES[name]) for name, lib in libraries.items()]
    )
    assert rna.var_names.tolist() == ["EPCAM", "CD4", "G2", "G3"]
    assert rna.var["gene_id"].tolist() == ["EEPCAM", "ECD4", "EG2", "EG3"]
    assert sparse.issparse(rna.X) and rna.X.dtype == np.int32
    np.testing.assert_array_equal(rna.X.toarray(), expected)
    np.testing.assert_array_equal(rna.obsm["X_umap"], cohort.obsm["X_umap"])
    for table in (found.obs, rna.obs):
        assert table["class"].astype(str).tolist() == cohort.obs["class"].astype(str).tolist()
        np.testing.assert_array_equal(table["p"], cohort.obs["p"])
    protein = found["protein"]
    with_it = [name for name in cohort.obs_names if not name.startswith("b:")]
    assert protein.obs_names.tolist() == with_it
    assert protein.X.dtype == np.int32
    np.testing.assert_array_equal(
        protein.X, np.vstack([libraries[n].obsm["protein"].to_numpy() for n in ("a", "c")])
    )
    # the name of a gene cannot be that of a protein too
    assert protein.var_names.tolist() == ["CD3", "HLA-A/B", "protein:CD4"]
    assert protein.var["name"].tolist() == same["a"]
    assert protein.var["id"].tolist() == ["id CD3", "id HLA-A/B", "id CD4"]
    assert protein.obs["class"].astype(str).tolist() == ["CTC", *["blood"] * 6]
    np.testing.assert_array_equal(found["hashtag"].X, libraries["a"].obsm["hashtag"].to_numpy())
    assert found["hashtag"].obs_names.tolist() == ["a:c0", "a:c2", "a:c3"]
    # who is where is written as mudata writes it
    found.write(tmp_path / "again.h5mu")
    with h5py.File(path) as mine, h5py.File(tmp_path / "again.h5mu") as theirs:
        for place in ("obsmap", "varmap", "obsm", "varm"):
            assert set(mine[place]) == set(theirs[place]) == set(found.mod)
            for name, rows in theirs[place].items():
                np.testing.assert_array_equal(np.ravel(mine[place][name]), np.ravel(rows))
    assert found[found.obs["class"] == "CTC"]["protein"].X.tolist() == [protein.X[0].tolist()]


@pytest.mark.parametrize("panel", [["CD4", "CD3", "HLA-A/B"], ["CD3", "CD56"]])
def test_panels_of_other_order_and_of_other_antibodies(tmp_path: Path, panel: list[str]) -> None:
    import mudata

    _, libraries = _finished(tmp_path, PANELS | {"c": panel})
    assert _export(tmp_path) == 0
    found = mudata.read_h5mu(tmp_path / "results" / "cluster" / "cohort.h5mu")["protein"]
    frames = [libraries[name].obsm["protein"] for name in ("a", "c")]
    np.testing.assert_array_equal(found.X, pd.concat(frames).to_numpy())
    if set(panel) == set(PANELS["a"]):
        assert found.X.dtype == np.int32
    else:  # what was not stained for is missing, and not zero
        assert found.X.dtype == np.float32
        assert found.var["name"].tolist() == ["CD3", "HLA-A/B", "CD4", "CD56"]
        assert np.isnan(found.X[3:, 1:3]).all() and np.isnan(found.X[:3, 3]).all()


def test_ctcflow_reads_its_own_file_and_it_is_the_same_twice(tmp_path: Path) -> None:
    _, libraries = _finished(tmp_path, PANELS | {"c": PANELS["a"]})
    paths = [tmp_path / name for name in ("one.h5mu", "two.h5mu")]
    for path in paths:
        assert _export(tmp_path, str(path)) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    raw = read_counts(paths[0], format=None).adata
    proteins = [libraries[name].obsm["protein"] for name in ("a", "c")]
    there = ~raw.obs_names.str.startswith("b:")
    np.testing.assert_array_equal(raw.obsm["protein"][there], pd.concat(proteins))
    assert (raw.obsm["protein"][~there] == 0).all(axis=None)
    assert raw.X.sum() == sum(library.X.sum() for library in libraries.values())


def test_a_run_without_other_tables_has_one_modality(tmp_path: Path) -> None:
    import mudata

    _finished(tmp_path, {"b": [], "c": []})
    assert _export(tmp_path) == 0
    assert list(mudata.read_h5mu(tmp_path / "results" / "cluster" / "cohort.h5mu").mod) == ["rna"]


def test_bad_input_is_one_line_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(tmp_path / "nowhere") == 2
    cohort, _ = _finished(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    assert _export(tmp_path, str(out)) == 2
    ingested = tmp_path / "results" / "ingest" / "b.h5ad"
    content = ingested.read_bytes()
    ingested.unlink()
    assert _export(tmp_path, str(out / "a.h5mu")) == 2
    ingested.write_bytes(content)
    kept = cohort[[n for n in cohort.obs_names if n != "b:c2"]].copy()
    io.write_h5ad(tmp_path / "results" / "cluster" / "cohort.h5ad", kept, delivered=True)
    assert _export(tmp_path, str(out / "a.h5mu")) == 2
    swapped = cohort.copy()
    swapped.obs_names = [name.replace("c:c1", "c:x") for name in cohort.obs_names]
    io.write_h5ad(tmp_path / "results" / "cluster" / "cohort.h5ad", swapped, delivered=True)
    assert _export(tmp_path, str(out / "a.h5mu")) == 2
    none = cohort[:0].copy()
    io.write_h5ad(tmp_path / "results" / "cluster" / "cohort.h5ad", none, delivered=True)
    assert _export(tmp_path, str(out / "a.h5mu")) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in lines] == [True] * 6, lines
    for line, words in zip(
        lines, ("missing", "is a folder", "missing", "changed", "changed", "no cell"), strict=True
    ):
        assert words in line
    assert list(out.iterdir()) == []
