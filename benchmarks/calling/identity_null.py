"""Write `resources/genes/identity_null.tsv`: what leukocytes look like at each depth.

`python -m benchmarks.calling.identity_null ../shared/data/real TABLE`: blood identity of public 10x
PBMC (3k, 4k, 1k v2, 1k v3), thinned to each depth; mean of the centres and geometric mean of the
spreads over the data sets that reach it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ctcflow import io
from ctcflow.stats import identity
from ctcflow.stats.gene_sets import handling
from ctcflow.stats.profiles import AMBIENT_SHARE, GROUPS, profiles
from ctcflow.stats.sample_profiles import with_two_at_once

RESOURCES = Path(__file__).parents[2] / "resources"
BLOOD = (
    "blood_pbmc3k_labelled.h5ad",
    "blood_pbmc4k_soupx_with_real_soup_profile.h5ad",
    "blood_pbmc1k_v2_allgenes.h5ad",
    "blood_pbmc1k_v3_filt.h5ad",
)
# PBMC hold no granulocytes and hardly a cell without nucleus
WIDER = {"granulocyte": 1.5, "anucleate": 2.0}
BLOOD_LIKE = -0.25


def measure(path: Path) -> identity.NullGrid:
    adata = anndata.read_h5ad(path)
    adata = adata[:, ~adata.var_names.duplicated()]
    counts = sp.csr_matrix(adata.X).astype(np.float64)
    panels = io.read_gene_sets(RESOURCES / "signatures" / "tumour_panels.tsv")
    reference = profiles(
        adata.var_names.to_numpy(dtype=object),
        rates=io.read_table(RESOURCES / "genes" / "lineage_rates.tsv.gz"),
        markers=io.read_gene_sets(RESOURCES / "signatures" / "cell_types.tsv"),
        left_out=frozenset(panels.loc[panels["set"] == "pan_epithelial", "gene"])
        | handling(io.read_table(RESOURCES / "signatures" / "technical.tsv")),
        ambient=np.asarray(counts.sum(axis=0)).ravel(),
        ambient_share=AMBIENT_SHARE,
    )
    reference = with_two_at_once(reference)
    shared = counts[:, reference.columns].tocsr()
    given = {"log_rates": reference.log_rates, "is_blood": reference.is_blood}
    fit = identity.identity(shared, **given)
    leukocytes = np.flatnonzero(fit.distance < BLOOD_LIKE)[:1500]
    rng = np.random.default_rng(0)
    return identity.null_grid(shared[leukocytes], group=reference.group, rng=rng, **given)


def averaged(grids: list[identity.NullGrid]) -> pd.DataFrame:
    """The table as it is shipped, from the grids of some data sets."""
    centre = np.ma.masked_invalid([grid.centre for grid in grids]).mean(0)
    spread = np.exp(np.ma.masked_invalid(np.log([grid.spread for grid in grids])).mean(0))
    rows = []
    for index, group in enumerate(GROUPS):
        source = GROUPS.index("myeloid") if group in WIDER else index
        known = np.flatnonzero(~np.ma.getmaskarray(centre)[source])
        for column, depth in enumerate(identity.DEPTHS):
            near = column if column in known else known[-1]
            note = "measured" if near == column else "carried from the deepest measured"
            note = "not measured: myeloid, wider" if group in WIDER else note
            width = spread[source, near] * WIDER.get(group, 1.0)
            rows.append((group, int(depth), round(centre[source, near], 3), round(width, 3), note))
    columns = ["group", "depth", "centre", "spread", "note"]
    return pd.DataFrame(rows, columns=columns)


def main(folder: Path, table: Path) -> None:
    io.write_table(table, averaged([measure(folder / name) for name in BLOOD]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
