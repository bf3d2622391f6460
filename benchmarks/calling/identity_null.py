"""Write `resources/genes/identity_null.tsv`: what leukocytes and stroma look like at each depth.

`python -m benchmarks.calling.identity_null ../shared/data TABLE`: blood identity of public 10x
PBMC (3k, 4k, 1k v2, 1k v3, two CITE-seq studies), thinned to each depth; the least blood-like
centre and upper end of the data sets that reach it. Groups that PBMC lack, and stroma, are drawn
from the author profiles of each tissue and judged by a reference without that tissue.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling import normal_profiles

from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.stats.counts.gene_sets import handling
from ctcflow.stats.identity import likelihood as identity
from ctcflow.stats.identity import normal_tissue
from ctcflow.stats.identity.blood_profiles import with_two_at_once
from ctcflow.stats.identity.profiles import GROUPS, Profiles, profiles

Floats = npt.NDArray[np.float64]

RESOURCES = Path(__file__).parents[2] / "resources"
BLOOD = (
    "real/blood_pbmc3k_labelled.h5ad",
    "real/blood_pbmc4k_soupx_with_real_soup_profile.h5ad",
    "real/blood_pbmc1k_v2_allgenes.h5ad",
    "real/blood_pbmc1k_v3_filt.h5ad",
    "real/cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad",
    "types/blood_PBMC_Hao2021_or_Kotliarov_SPECK_1000.h5ad",
)
MEASURED = ("T", "NK", "B", "monocyte", "dendritic", "progenitor")
"""Groups of which PBMC hold enough cells, of one file or of all together."""
FEWEST = 20
BLOOD_LIKE = -0.25
CELLS = 60
"""Cells that are drawn from each author profile at each depth."""
STROMA_TYPES = ("Endothelial", "Fibroblast", "Pericyte/smooth muscle")
"""Stroma of the needle's way and of a biopsy; muscle and glia keep fewer rivals at a distance."""
SOUPY = ("Colon_HCA", "Placenta_HCA")
"""Tissues whose stroma carries RNA of epithelium: as a null it would stand for a carcinoma too."""
LEAST_SPREAD = {"measured": 0.06, "drawn from profiles": 0.1}
"""A few cells, or a few studies, do not tell a smaller one."""
SCATTER = 0.3
"""Squared coefficient of variation of a gene between cells of a type (gamma)."""


class Tables(NamedTuple):
    """A reference of normal cells."""

    profiles: pd.DataFrame
    types: pd.DataFrame


def shipped() -> Tables:
    names = ("normal_profiles", "normal_types")
    return Tables(*(io.read_table(RESOURCES / SHIPPED[name]) for name in names))


def left_out(panel: bool) -> frozenset[str]:
    panels = io.read_gene_sets(RESOURCES / SHIPPED["panels"])
    genes = handling(io.read_table(RESOURCES / SHIPPED["technical"]))
    return genes | (frozenset(panels["gene"]) if panel else frozenset())


def reference(genes: npt.NDArray[np.object_], tables: Tables, *, panel: bool) -> Profiles:
    """Profiles over these genes, without those of the tumour panels where they are judged apart."""
    return profiles(
        genes,
        reference=tables.profiles,
        types=tables.types,
        left_out=left_out(panel),
        ambient=None,
        ambient_share=0.0,
    )


def measure(path: Path) -> list[list[Floats]]:
    """Distances of the leukocytes of one file, by group and depth."""
    adata = anndata.read_h5ad(path)
    adata = adata[:, ~adata.var_names.duplicated()]
    counts = sp.csr_matrix(adata.X).astype(np.float64)
    genes = adata.var_names.str.removeprefix("hg19_").to_numpy(dtype=object)
    types = with_two_at_once(reference(genes, shipped(), panel=True))
    shared = counts[:, types.columns].tocsr()
    red = np.array(types.types) == "Erythroid"
    fit = fitted(shared, types, red)
    leukocytes = np.flatnonzero(fit.distance < BLOOD_LIKE)[:1500]
    rng, distances = (
        np.random.default_rng(0),
        [[np.empty(0)] * identity.DEPTHS.size for _ in GROUPS],
    )
    for column, depth in enumerate(identity.DEPTHS):
        deep = leukocytes[fit.depth[leukocytes] >= depth]
        fit_now = fitted(identity.thinned(shared[deep], depth=depth, rng=rng), types, red)
        for group in range(len(GROUPS)):
            distances[group][column] = fit_now.distance[types.group[fit_now.blood] == group]
    return distances


def fitted(
    counts: sp.csr_matrix, types: Profiles, barred: npt.NDArray[np.bool_]
) -> identity.Identity:
    """Fit of cells that cannot be of the barred types."""
    likelihoods = identity.log_likelihood(
        counts,
        log_rates=types.log_rates,
        barred=np.broadcast_to(barred, (counts.shape[0], barred.size)),
    )
    return identity.identity(likelihoods, depth=identity.total(counts), is_blood=types.is_blood)


@cache
def author_profiles(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return normal_profiles.author_profiles(folder)


def drawn(folder: Path, groups: Sequence[str]) -> Iterator[tuple[str, str, Floats]]:
    """Group, tissue and distances (depths x cells) of cells drawn from each author profile.

    The reference that judges them lacks their tissue, so that the spread holds what differs
    between two studies of a type.
    """
    rates, kinds = author_profiles(folder)
    wanted = kinds[kinds["group"].isin(groups) & (kinds["left_out"] == "")]
    stroma = wanted["group"] == normal_tissue.STROMA
    clean = wanted["type"].isin(STROMA_TYPES) & ~wanted["tissue"].isin(SOUPY)
    wanted = wanted[~stroma | clean]
    rng = np.random.default_rng(0)
    for tissue, rows in wanted.groupby("tissue", sort=True):
        made = normal_profiles.condensed(rates, kinds, (str(tissue),))
        genes = rates.columns.to_numpy(dtype=object)
        judges = {
            panel: with_two_at_once(reference(genes, Tables(*made), panel=panel))
            for panel in (False, True)
        }
        for place, group in zip(rows.index, rows["group"], strict=True):
            types = judges[group != normal_tissue.STROMA]
            share = rates.loc[place].to_numpy()[types.columns]
            yield (
                str(group),
                str(tissue),
                _distances(share, types, group == normal_tissue.STROMA, rng),
            )


def _distances(share: Floats, types: Profiles, stroma: bool, rng: np.random.Generator) -> Floats:
    distances = np.empty((identity.DEPTHS.size, CELLS))
    for row, depth in enumerate(identity.DEPTHS):
        rates = share * rng.gamma(1 / SCATTER, SCATTER, (CELLS, share.size))
        chance = rates / rates.sum(axis=1, keepdims=True)
        counts = sp.csr_matrix(rng.poisson(depth * chance).astype(np.float64))
        if stroma:
            like = identity.log_likelihood(counts, log_rates=types.log_rates, barred=None)
            depth_of = identity.total(counts)
            distances[row] = normal_tissue.beyond_stroma(like, depth=depth_of, types=types)
        else:
            distances[row] = fitted(counts, types, np.zeros(types.is_blood.size, bool)).distance
    return distances


def simulated(folder: Path) -> dict[str, identity.NullGrid]:
    """Centre and spread of the groups that PBMC lack, and of stroma."""
    wanted = [group for group in (*GROUPS, normal_tissue.STROMA) if group not in MEASURED]
    parts: dict[str, list[Floats]] = {group: [] for group in wanted}
    for group, _, values in drawn(folder, wanted):
        parts[group].append(values)
    grids = {}
    for group, values in parts.items():
        # of each author profile, so that what two kinds differ by is no scatter
        moments = np.array([[identity.upper_moments(row) for row in profile] for profile in values])
        if group == normal_tissue.STROMA:
            together = np.concatenate(values, axis=1)
            of_all = np.array([identity.upper_moments(row) for row in together])
            grids[group] = identity.NullGrid(of_all[:, 0], of_all[:, 1])
        else:
            grids[group] = identity.NullGrid(moments[..., 0].max(0), np.median(moments[..., 1], 0))
    return grids


def widest(files: Sequence[list[list[Floats]]], group: int) -> identity.NullGrid:
    """Least blood-like centre and upper end of the files with enough cells of a group.

    Where no file has enough, of all of them together; NaN where these are too few.
    """
    centre = np.full(identity.DEPTHS.size, np.nan)
    spread = centre.copy()
    for column in range(identity.DEPTHS.size):
        parts = [distances[group][column] for distances in files]
        enough = [values for values in parts if values.size >= FEWEST]
        together = np.concatenate(parts)
        if not enough and together.size >= FEWEST:
            enough = [together]
        if enough:
            moments = np.array([identity.upper_moments(values) for values in enough])
            centre[column] = moments[:, 0].max()
            upper = (moments[:, 0] + moments[:, 1]).max()
            spread[column] = upper - centre[column]
    return identity.NullGrid(centre, spread)


def combined(
    files: Sequence[list[list[Floats]]], other: dict[str, identity.NullGrid]
) -> pd.DataFrame:
    """The table as it is shipped, from the distances of some files and of drawn cells."""
    rows = []
    for group in (*GROUPS, normal_tissue.STROMA):
        measured = group not in other
        grid = widest(files, GROUPS.index(group)) if measured else other[group]
        with_centre = np.flatnonzero(~np.isnan(grid.centre))
        for column, depth in enumerate(identity.DEPTHS):
            near = int(with_centre[np.abs(with_centre - column).argmin()])
            note = "measured" if measured else "drawn from profiles"
            width = max(float(grid.spread[near]), LEAST_SPREAD[note])
            note = note if near == column else "carried from the nearest depth"
            rows.append((group, int(depth), round(grid.centre[near], 3), round(width, 3), note))
    columns = ["group", "depth", "centre", "spread", "note"]
    return pd.DataFrame(rows, columns=columns)


def main(data: Path, table: Path) -> None:
    files = [measure(data / name) for name in BLOOD]
    io.write_table(table, combined(files, simulated(data / "types")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
