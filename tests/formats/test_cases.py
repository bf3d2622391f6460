"""The layouts among the public situations of ../shared/data/cases give the counts of the truth."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from ctcflow.formats.read import read_counts
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/data/cases is absent")

EXPECTED = {
    # folder: format, part of a note
    "07_length_column": ("table", "left out: `Length`"),
    "08_start_end_columns": ("table", "left out: `Chr`, `Start`, `End`, `Strand` and 1 more"),
    "19_parse_dge": ("mtx", ""),
    "20_kb_counts_unfiltered": ("mtx", ""),
    "21_alevin_fry": ("mtx", ""),
    "24_umi_tools_long": ("table", "a long table"),
    "25_dropseq_dge": ("table", ""),
    "27_h5_gz": ("10x_h5", ""),
    "43_numeric_var_names": ("h5ad", ""),
    "52_starsolo_genefull_only": ("starsolo", ""),
    "71_matrix_mtx_of_geo_names": ("mtx", ""),
    "77_metadata_rows": ("table", "`malignant(1=no,2=yes,0=unresolved)`, `cell type (1="),
}


@pytest.fixture(scope="module")
def whole() -> anndata.AnnData:
    return anndata.read_h5ad(CASES / "truth.h5ad")


@pytest.mark.parametrize("case", EXPECTED)
def test_counts_of_a_case(
    case: str, whole: anndata.AnnData, tables: dict[str, pd.DataFrame]
) -> None:
    format_, note = EXPECTED[case]
    files = [path for path in (CASES / case).iterdir() if path.name != "EXPECT.md"]
    given = files[0] if len(files) == 1 else CASES / case
    raw = read_counts(given, format=None, genes=tables["genes"])
    assert raw.format == format_
    assert note in " ".join(raw.notes)
    found = ingest(raw.adata, tables["genes"], params=IngestParams())
    genes = _places(found.var_names, whole)
    cells = _cells(case, found.obs_names, whole)
    counts = np.zeros((len(cells), whole.n_vars), dtype=np.int64)
    counts[:, genes] = found.X.toarray()
    np.testing.assert_array_equal(counts, whole.X.toarray()[cells])


def _places(names: pd.Index, whole: anndata.AnnData) -> np.ndarray:
    """Places of genes in the truth; each once."""
    found = whole.var_names.get_indexer(names)
    assert (found >= 0).all()
    assert np.unique(found).size == found.size
    return found


def _cells(case: str, names: pd.Index, whole: anndata.AnnData) -> np.ndarray:
    if case == "19_parse_dge":  # wells for barcodes, in the order of case 20
        beside = read_counts(CASES / "20_kb_counts_unfiltered", format=None).adata.obs_names
        return _cells("20", beside, whole)
    if names[0] == "cell_0":
        assert names.tolist() == [f"cell_{at}" for at in range(whole.n_obs)]
        return np.arange(whole.n_obs)
    # Drop-seq's barcodes are shorter
    short = whole.obs_names.str.slice(stop=len(names[0].split("-")[0]))
    assert short.is_unique
    return short.get_indexer(names.str.split("-").str[0])
