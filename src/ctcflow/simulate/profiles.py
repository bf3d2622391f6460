"""Expression profiles: the share of each gene in the RNA of each kind of cell.

A profile combines the rates of normal human cell types (`lineage_rates`), hand-written markers
(`programmes`), ribosomal and mitochondrial genes, and log-normal rates for all other genes.
Profiles do not depend on the seed of the cohort: all simulated cohorts share them, and only their
donors, batches, clones and cells differ.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.simulate import programmes

Floats = npt.NDArray[np.float64]

_SPECIES_SEED: Final = 20_240_601
_KIND_SD: Final = 0.3
"""Random differences between kinds beyond their markers (standard deviation of natural log)."""
_RIBOSOMAL: Final = re.compile(r"RPL\d+[AL]?|RPLP[012]|RPS\d+[AXL]?|RPSA|RPS27A")
_UNNAMED: Final = re.compile(
    r"(RP\d+|CT[ABCD]|AC|AL|AP|LINC|MIR|SNOR|RNU|RNA|LOC|LL|KB|XX)\d*-?.*\d|MT-.*"
)
_TIGHT: Final = re.compile(r"IG[HKL][VDJCGAME]|TR[ABDG][VDJC]|HB[ABDEGMQZ]\d?$|MT-")
"""Genes that are not expressed unless they are in a programme."""
_LIKELY_SILENT: Final = re.compile(r".*(-AS\d|-IT\d|-OT\d|P\d+|orf\d+)$")


class Kind(NamedTuple):
    """Definition of a kind of cell."""

    lineage: str
    """Coarse name in the truth table."""
    base: dict[str, float]
    """Weights of the columns of the rate table."""
    ribosomal: float
    """Share of ribosomal genes in the cytoplasmic counts."""
    common: float
    """Factor on the genes that are not in its programme; small in cells with few genes."""
    depth: float
    """Median counts relative to `median_umis`."""
    spread: float
    """Standard deviation of log counts."""
    mt: tuple[float, float]
    """Range in which the mitochondrial share of nine cells in ten falls."""
    share: float
    """Share among blood cells; 0 for tumour cells."""


_EPI: Final = {"Epithelial": 1.0}
_HYB: Final = {"Epithelial": 0.8, "Fibroblast": 0.2}
_MES: Final = {"Epithelial": 0.55, "Fibroblast": 0.45}
_TUMOUR_MT: Final = (0.06, 0.15)
KINDS: Final[dict[str, Kind]] = {
    "CD4 T naive": Kind("T", {"CD4+T": 1}, 0.36, 1, 0.85, 0.35, (0.015, 0.05), 0.19),
    "CD4 T memory": Kind("T", {"CD4+T": 1}, 0.31, 1, 0.95, 0.35, (0.015, 0.05), 0.20),
    "CD8 T": Kind("T", {"CD8+T": 1}, 0.27, 1, 0.90, 0.35, (0.015, 0.055), 0.14),
    "NK": Kind("NK", {"NK": 1}, 0.22, 1, 0.85, 0.35, (0.02, 0.06), 0.09),
    "B": Kind("B", {"B": 1}, 0.30, 1, 0.90, 0.35, (0.015, 0.05), 0.09),
    "plasma": Kind("plasma", {"Plasma": 1}, 0.15, 1, 1.8, 0.45, (0.015, 0.05), 0.002),
    "CD14 monocyte": Kind("monocyte", {"Monocyte": 1}, 0.18, 1, 1.3, 0.35, (0.02, 0.06), 0.16),
    "FCGR3A monocyte": Kind("monocyte", {"Monocyte": 1}, 0.18, 1, 1.2, 0.35, (0.02, 0.06), 0.035),
    "cDC": Kind("DC", {"Dendritic": 1}, 0.20, 1, 1.8, 0.40, (0.02, 0.06), 0.013),
    "pDC": Kind("DC", {"Dendritic": 0.4, "B": 0.4}, 0.20, 1, 1.5, 0.40, (0.02, 0.06), 0.006),
    "neutrophil": Kind("neutrophil", {"Monocyte": 1}, 0.02, 0.3, 0.2, 0.35, (0.002, 0.02), 0.05),
    "platelet": Kind("platelet", {"CD4+T": 1}, 0.03, 0.12, 0.14, 0.45, (0.02, 0.1), 0.015),
    "erythrocyte": Kind("erythrocyte", {"CD4+T": 1}, 0.01, 0.04, 0.4, 0.6, (0.001, 0.01), 0.008),
    "endothelial": Kind("endothelial", {"Endothelial": 1}, 0.15, 1, 1.2, 0.45, (0.02, 0.07), 0.001),
    "epithelial": Kind("tumour", _EPI, 0.16, 1, 1.7, 0.5, _TUMOUR_MT, 0),
    "hybrid": Kind("tumour", _HYB, 0.16, 1, 1.7, 0.5, _TUMOUR_MT, 0),
    "mesenchymal": Kind("tumour", _MES, 0.16, 1, 1.6, 0.5, _TUMOUR_MT, 0),
    "proliferating": Kind("tumour", _EPI, 0.18, 1, 2.2, 0.45, _TUMOUR_MT, 0),
}
NAMES: Final = tuple(KINDS)
BLOOD: Final = tuple(name for name, kind in KINDS.items() if kind.lineage != "tumour")
PHENOTYPES: Final = tuple(name for name, kind in KINDS.items() if kind.lineage == "tumour")


class Species(NamedTuple):
    """The genes, and their expression in each kind of cell."""

    genes: pd.DataFrame
    """gene_id, symbol, chromosome, arm; index 0, 1, ..."""
    nuclear: Floats
    """Shares without mitochondrial genes, kinds x genes; rows sum to 1."""
    mitochondrial: Floats
    """Shares of the mitochondrial genes in their own sum, shape (genes,)."""
    silent: pd.DataFrame
    """More genes, that are in the files and that no cell expresses; columns as in `genes`."""


def species(
    genes: pd.DataFrame, rates: pd.DataFrame, n_genes: int, *, silent: Collection[str]
) -> Species:
    """Choose the genes and build the profile of each kind of cell.

    Parameters
    ----------
    genes
        Columns gene_id, symbol, chromosome, arm.
    rates
        Column symbol and one column per cell type, counts per million.
    n_genes
        Number of genes; those with programmes and rates come first.
    silent
        Symbols of genes that are in the files, and that no cell expresses unless they are among
        the others: a file without the genes of a tumour panel could not be judged.
    """
    by_symbol = rates.drop_duplicates("symbol").set_index("symbol")
    chosen = _choose(genes, by_symbol, n_genes)
    more = genes[genes["symbol"].isin(list(silent)) & ~genes["symbol"].isin(chosen["symbol"])]
    more = more[chosen.columns].drop_duplicates("symbol").drop_duplicates("gene_id")
    symbols = chosen["symbol"].to_numpy(dtype=object)
    random = np.random.default_rng(_SPECIES_SEED)
    # One random number per symbol, so that adding genes does not change the others.
    noise = pd.DataFrame(
        random.standard_normal((len(genes), 2 + len(KINDS))), index=genes["symbol"].to_numpy()
    )
    noise = noise[~noise.index.duplicated()].reindex(symbols).fillna(0.0)
    table = by_symbol.reindex(symbols)
    common = _common_rates(symbols, table, noise.iloc[:, 0].to_numpy())
    ribosomal = np.array([bool(_RIBOSOMAL.fullmatch(symbol)) for symbol in symbols])
    ribosomal_weight = np.where(ribosomal, np.exp(0.5 * noise.iloc[:, 1].to_numpy()), 0.0)
    rows = [
        _profile(name, symbols, table, common, np.exp(_KIND_SD * noise.iloc[:, 2 + k].to_numpy()))
        for k, name in enumerate(NAMES)
    ]
    nuclear = np.stack(rows)
    mitochondrial = _programme(symbols, programmes.MITOCHONDRIAL)
    nuclear[:, ribosomal | (mitochondrial > 0)] = 0.0
    share = np.array([[KINDS[name].ribosomal] for name in NAMES])
    nuclear *= (1.0 - share) / nuclear.sum(axis=1, keepdims=True)
    nuclear += share * ribosomal_weight / max(ribosomal_weight.sum(), 1e-12)
    nuclear /= nuclear.sum(axis=1, keepdims=True)
    shares = mitochondrial / max(mitochondrial.sum(), 1e-12)
    return Species(chosen, nuclear, shares, more.reset_index(drop=True))


def _choose(genes: pd.DataFrame, rates: pd.DataFrame, n_genes: int) -> pd.DataFrame:
    """Choose genes with known expression first, and return them in the order of the table."""
    table = genes.loc[:, ["gene_id", "symbol", "chromosome", "arm"]]
    table = table.drop_duplicates("symbol").drop_duplicates("gene_id")
    symbols = table["symbol"].to_numpy(dtype=object)
    texts = [
        programmes.MITOCHONDRIAL,
        *programmes.TYPES.values(),
        *programmes.TUMOURS.values(),
        programmes.HOUSEKEEPING,
    ]
    marked = set().union(*(programmes.parse(text) for text in texts))
    first = [s in marked or bool(_RIBOSOMAL.fullmatch(s)) for s in symbols]
    highest_rate = rates.max(axis=1).reindex(symbols).to_numpy(dtype=float)
    unnamed = [bool(_UNNAMED.fullmatch(s) or _LIKELY_SILENT.fullmatch(s)) for s in symbols]
    shuffled = np.random.default_rng(_SPECIES_SEED).random(len(table))
    order = np.lexsort(
        (
            shuffled,
            np.array(unnamed),
            -np.nan_to_num(highest_rate, nan=-1.0),
            ~np.array(first, dtype=bool),
        )
    )
    return table.iloc[np.sort(order[:n_genes])].reset_index(drop=True)


def _common_rates(symbols: npt.NDArray[np.object_], table: pd.DataFrame, normal: Floats) -> Floats:
    """Rates shared by all kinds for genes outside the rate table, counts per million.

    Median 4 and log-normal spread 1.6 are those of such genes in public 10x PBMC data.
    """
    common: Floats = np.exp(np.log(4.0) + 1.6 * normal)
    silent = [bool(_UNNAMED.fullmatch(s) or _LIKELY_SILENT.fullmatch(s)) for s in symbols]
    common[silent] *= 0.1
    # A gene that is only in a programme is not expressed elsewhere; nor are immune receptor genes.
    texts = [*programmes.TYPES.values(), *programmes.TUMOURS.values()]
    marked = set().union(*(programmes.parse(text) for text in texts))
    off = [s in marked or bool(_TIGHT.match(s)) for s in symbols]
    common[off] = np.minimum(common[off], 0.5)
    common[table.notna().all(axis=1).to_numpy()] = 0.0
    for symbol, rate in programmes.parse(programmes.HOUSEKEEPING).items():
        common[symbols == symbol] = rate
    return common


def _profile(
    name: str,
    symbols: npt.NDArray[np.object_],
    table: pd.DataFrame,
    common: Floats,
    own_factors: Floats,
) -> Floats:
    """Rates of one kind of cell, counts per million, before shares are fixed.

    `own_factors` are factors that distinguish it from kinds with the same column of the rate table.
    """
    kind = KINDS[name]
    base = sum(weight * table[column].fillna(0.0) for column, weight in kind.base.items())
    base = base.to_numpy(dtype=float) / sum(kind.base.values())
    for limit, names in programmes.TISSUE_LIMITS.items():
        limited = np.isin(symbols, names.split())
        base[limited] = np.minimum(base[limited], limit)
    if kind.lineage != "tumour":
        # The rates come from tissue, where other cells contain ambient RNA of epithelium.
        spilled = table["Epithelial"].fillna(0.0).to_numpy() > 30.0 * base
        base[spilled] *= 0.2
    rate: Floats = (base + common) * own_factors * kind.common
    if kind.lineage == "tumour":
        wanted = programmes.parse(programmes.TUMOURS[name])
    else:
        wanted = programmes.parse(programmes.TRACE_KERATINS + " " + programmes.TYPES[name])
    position = {symbol: i for i, symbol in enumerate(symbols)}
    for symbol, value in wanted.items():
        if symbol in position:
            rate[position[symbol]] = value
    return rate


def _programme(symbols: npt.NDArray[np.object_], text: str) -> Floats:
    wanted = programmes.parse(text)
    return np.array([wanted.get(symbol, 0.0) for symbol in symbols])
