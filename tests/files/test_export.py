"""Export of all counts to one file: assembled on disk, opened by scanpy."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow import cli
from ctcflow.errors import CtcflowError
from ctcflow.files import io, sample_files
from ctcflow.files.cellxgene import assay, for_cellxgene
from ctcflow.files.export import export

GENES = {"a": ["G0", "G1", "G2"], "b": ["G2", "G3"]}


def written(folder: Path) -> tuple[dict[str, str], anndata.AnnData, dict[str, anndata.AnnData]]:
    """Two libraries of different genes; the second cell of `a` is set aside."""
    rng = np.random.default_rng(0)
    libraries = {}
    for name, genes in GENES.items():
        obs = pd.DataFrame({"sample": name}, index=[f"c{i}" for i in range(4)]).astype(object)
        counts = rng.poisson(1.0, (4, len(genes))).astype(np.int32)
        library = anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes))
        library.uns["ctcflow"] = json.dumps({"sample": {"sample": name}, "steps": {}})
        io.write_h5ad(folder / "ingest" / f"{name}.h5ad", library, delivered=False)
        qc = anndata.AnnData(obs=pd.DataFrame({"keep": True}, index=library.obs_names))
        qc.obs["keep"] = [True, name != "a", True, True]
        qc.uns["ctcflow"] = json.dumps({"sample": {"sample": name}, "steps": {}})
        io.write_h5ad(folder / "qc" / f"{name}.h5ad", qc, delivered=False)
        libraries[name] = library[qc.obs["keep"].to_numpy()].copy()
    names = [f"{name}:{cell}" for name, library in libraries.items() for cell in library.obs_names]
    cohort = anndata.AnnData(obs=pd.DataFrame({"cluster": pd.Categorical(["0"] * 7)}, index=names))
    cohort.obsm["X_umap"] = rng.normal(size=(7, 2)).astype(np.float32)
    cohort.uns["ctcflow"] = "{}"
    io.write_h5ad(folder / "cohort.h5ad", cohort, delivered=True)
    var = pd.DataFrame({"gene_id": ""}, index=["G0", "G1", "G2", "G3"]).astype(object)
    io.write_h5ad(folder / "reduce.h5ad", anndata.AnnData(var=var), delivered=False)
    paths = {step: str(folder / step / "{sample}.h5ad") for step in ("ingest", "qc")}
    paths |= {"cluster": str(folder / "cohort.h5ad"), "reduce": str(folder / "reduce.h5ad")}
    return paths, cohort, libraries


def test_the_file_has_every_count_of_every_kept_cell_and_opens_in_scanpy(tmp_path: Path) -> None:
    import scanpy as sc

    paths, cohort, libraries = written(tmp_path)
    outs = [tmp_path / name for name in ("one.h5ad", "two.h5ad")]
    for out in outs:
        given = [f"{name}={path}" for name, path in paths.items()]
        assert cli.main(
            ["export", "--in", *given, "--samples", "a", "b", "--out", f"adata={out}"]
        ) in (0, None)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    found = sc.read_h5ad(outs[0])
    expected = pd.concat(
        [
            pd.DataFrame(library.X.toarray(), columns=GENES[name])
            for name, library in libraries.items()
        ]
    )
    expected = expected.reindex(columns=list(found.var_names)).fillna(0)
    assert sparse.isspmatrix_csr(found.X)
    assert np.array_equal(found.X.toarray(), expected.to_numpy())
    assert found.obs_names.tolist() == cohort.obs_names.tolist()
    assert found.obs["cluster"].dtype == "category"
    assert np.array_equal(found.obsm["X_umap"], cohort.obsm["X_umap"])
    sc.pp.normalize_total(found)


def test_other_cells_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    paths, cohort, _ = written(tmp_path)
    samples = sample_files.Cohort(("b", "a"), {step: paths[step] for step in ("ingest", "qc")})
    genes = io.read_h5ad(Path(paths["reduce"])).var
    with pytest.raises(CtcflowError, match="changed since `reduce`"):
        export(tmp_path / "out.h5ad", cohort, genes, samples)
    assert not (tmp_path / "out.h5ad").exists()
    assert cli.main(["export", "--in", "qc=x", "--out", "adata=y"]) == 2


def test_without_counts_or_cells_there_is_nothing_for_cellxgene() -> None:
    tables = {"terms": pd.DataFrame(), "retired": pd.DataFrame(), "title": "x"}
    whole = anndata.AnnData(obs=pd.DataFrame(index=["c"]), var=pd.DataFrame(index=["G"]))
    with pytest.raises(CtcflowError, match="genes: full"):
        for_cellxgene(whole, **tables)
    with pytest.raises(CtcflowError, match="no cell"):
        for_cellxgene(whole[:0].copy(), **tables)


@pytest.mark.parametrize(
    ("chemistry", "term"),
    [
        ("10x 3' v3.1", "EFO:0009922"),
        ("10x_5p_v2", "EFO:0009900"),
        ("Smart-seq2", "EFO:0008931"),
        ("10x GEM-X", "EFO:0030080"),
        ("wells", "EFO:0008913"),
        ("", "EFO:0008913"),
    ],
)
def test_a_chemistry_in_the_words_of_the_sheet_has_its_term(tables, chemistry, term) -> None:
    known = tables["ontology_terms"].query("column == 'chemistry'")
    assert assay(chemistry, dict(zip(known["value"], known["term"], strict=True))) == term
