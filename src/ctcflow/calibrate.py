"""Turn any score into p-values: how often a leukocyte of the same sample scores as high."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats as distributions

from ctcflow.errors import CtcflowError
from ctcflow.formats.h5 import read_obs
from ctcflow.formats.read import read_counts
from ctcflow.settings.mistakes import closest, shown
from ctcflow.settings.sample_params import IngestParams
from ctcflow.stats.calls import p_values, score_null
from ctcflow.stats.counts.checks import looks_like_reads
from ctcflow.stats.counts.gene_sets import genes_of_sets, handling, in_set
from ctcflow.stats.counts.reads import as_molecules
from ctcflow.stats.identity.leukocytes import beyond_doubt
from ctcflow.stats.identity.profiles import GROUPS, profiles
from ctcflow.steps.ingest import ingest

if TYPE_CHECKING:
    from anndata import AnnData

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TABLES: Final = ("genes", "panels", "normal_profiles", "normal_types", "technical")
"""Shipped tables that are needed to recognise leukocytes."""
LEVELS: Final = (0.1, 0.01, 0.001)
"""Nominal p-values at which the calibration is checked."""
_FDR = 0.05
_DEPTH = ("shallower", "within", "deeper")  # the cell, against the depths of its null cells


class Cells(NamedTuple):
    """What is known of n cells without the score."""

    barcode: npt.NDArray[np.object_]
    counts: Floats
    """(n,) counts of human genes."""
    kind: npt.NDArray[np.object_]
    """(n,) group of blood cells (`profiles.GROUPS`) that the cell is nearest to."""
    is_leukocyte: Bools
    """(n,) certain leukocytes: they form the null distribution."""


class Calibrated(NamedTuple):
    """A calibrated score, with the checks of its calibration."""

    name: str
    """Column of the score."""
    table: pd.DataFrame
    """One row per cell in the order of the file: `barcode`, `score`, `counts`, `kind`,
    `is_leukocyte`, `p`, `q`, `expected_false`, `judged_by`, `n_null`, `depth`, `p_from`."""
    not_judged: str
    """Why no cell could be judged; empty where cells were."""
    check: list[list[float]]
    """Per level: the level, the share of leukocytes whose p is at or below it when each half of the
    leukocytes is judged by the other half, and the exact 95 % interval of that share; empty where
    there are too few leukocytes."""
    depth_correlation: float
    """Spearman correlation of score and counts among leukocytes of one kind; mean over kinds,
    weighted by their number of cells."""


def calibrate(
    path: Path, column: str, tables: Mapping[str, pd.DataFrame], *, lower: bool
) -> Calibrated:
    """Give each cell the probability that a normal leukocyte of its sample scores as high.

    Leukocytes are recognised with the shipped reference of normal cells, never by the score.

    Parameters
    ----------
    path
        An .h5ad of one blood sample with raw counts in `X` or `layers["counts"]`.
    column
        Numeric column of `obs`.
    tables
        The shipped tables `TABLES` by name.
    lower
        Lower scores are more tumour-like.

    Raises
    ------
    CtcflowError
        The file cannot be read, has no raw counts, or the column is missing or not numeric.
    """
    score = _score(path, column)
    counts = read_counts(path, format="h5ad", genes=tables["genes"]).adata
    try:
        adata = ingest(counts, tables["genes"], params=IngestParams())
    except CtcflowError as error:
        raise CtcflowError(f"`{path}`: {error}") from error
    return judged(cells_of(adata, tables), score, name=column, lower=lower)


def _score(path: Path, column: str) -> Floats:
    obs = read_obs(path)
    if column not in obs:
        numeric = [str(name) for name in obs if _is_numeric(obs[name])]
        match = closest(column, [str(name) for name in obs], cutoff=0.6)
        hint = f"did you mean `{match}`?" if match else f"name one of {shown(numeric)}"
        raise CtcflowError(f"`{path}` has no obs column `{column}`: {hint}")
    values = obs[column]
    if not _is_numeric(values):
        first = shown(str(values.iloc[0])) if len(values) else "nothing"
        raise CtcflowError(
            f"obs column `{column}` of `{path}` holds {values.dtype} values (first {first}):"
            " name a column of numbers"
        )
    return np.asarray(pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan))


def _is_numeric(values: pd.Series) -> bool:
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(values) and not kinds.is_bool_dtype(values))


def cells_of(adata: AnnData, tables: Mapping[str, pd.DataFrame]) -> Cells:
    """Find the kind of blood cell that each cell is nearest to, and the certain leukocytes.

    Parameters
    ----------
    adata
        A sample, as `ingest` returns it.
    tables
        As for `calibrate`.
    """
    barcode = adata.obs_names.to_numpy(dtype=object)
    umis = np.asarray(adata.X.sum(axis=1), dtype=np.float64).ravel()
    if not adata.n_obs:
        return Cells(barcode, umis, barcode.copy(), np.zeros(0, dtype=bool))
    names = adata.var_names.to_numpy(dtype=object)
    technical = tables["technical"]
    counts = adata.X.tocsr().astype(np.float64)
    if looks_like_reads(counts):
        counts = as_molecules(counts, left_out=in_set(names, technical, "haemoglobin"))
    panels = frozenset().union(*genes_of_sets(tables["panels"]).values())
    reference = profiles(
        names,
        reference=tables["normal_profiles"],
        types=tables["normal_types"],
        left_out=panels | handling(technical),
        ambient=None,
        ambient_share=0.0,
    )
    lineage, is_leukocyte = beyond_doubt(counts, reference=reference)
    return Cells(
        barcode, umis, np.array(GROUPS, dtype=object)[reference.group[lineage]], is_leukocyte
    )


def judged(cells: Cells, score: Floats, *, name: str, lower: bool) -> Calibrated:
    """Calibrate a score against the leukocytes among the cells.

    Parameters
    ----------
    score
        (n,) NaN or infinite where the cell has none: such cells get no p.
    name
        Name of the score.
    lower
        As for `calibrate`.
    """
    has_score = np.isfinite(score) & (cells.counts > 0)
    table = _empty_table(cells, score)
    null = cells.is_leukocyte & has_score
    reason = _not_judged(score[has_score], int(null.sum()))
    if reason:
        return Calibrated(name, table, reason, [], np.nan)
    high = (-score if lower else score)[has_score]
    depth, kind, is_null = cells.counts[has_score], cells.kind[has_score], null[has_score]
    judgement = score_null.judge(high, depth=depth, kind=kind, is_null=is_null)
    _fill(table, np.flatnonzero(has_score), judgement)
    # in the order of the barcodes: which half a cell is in must not depend on the file
    order = np.argsort(cells.barcode[has_score].astype(str), kind="stable")
    p = score_null.cross_fitted(
        high[order],
        depth=depth[order],
        kind=kind[order],
        is_null=is_null[order],
        rng=np.random.default_rng(0),
    )
    check = p_values.reached(p, levels=LEVELS) if p.size else []
    return Calibrated(name, table, "", check, _with_depth(high, depth, kind, is_null))


def _empty_table(cells: Cells, score: Floats) -> pd.DataFrame:
    n = score.size
    return pd.DataFrame(
        {
            "barcode": cells.barcode,
            "score": score,
            "counts": cells.counts.astype(np.int64),
            "kind": cells.kind,
            "is_leukocyte": cells.is_leukocyte,
            **{name: np.full(n, np.nan) for name in ("p", "q", "expected_false")},
            "judged_by": np.full(n, "", dtype=object),
            "n_null": np.zeros(n, dtype=np.int64),
            **{name: np.full(n, "", dtype=object) for name in ("depth", "p_from")},
        }
    )


def _fill(table: pd.DataFrame, places: npt.NDArray[np.intp], judgement: score_null.Judged) -> None:
    has_p = np.isfinite(judgement.p)
    rows, p = table.index[places[has_p]], judgement.p[has_p]
    table.loc[rows, "p"] = p
    table.loc[rows, "q"] = p_values.benjamini_hochberg(p)
    table.loc[rows, "expected_false"] = p * p.size
    table.loc[rows, "judged_by"] = np.array(judgement.sources, dtype=object)[
        judgement.source[has_p]
    ]
    table.loc[rows, "n_null"] = judgement.n_null[has_p]
    by_tail = p < 1.0 / (judgement.n_null[has_p] + 1.0)
    table.loc[rows, "p_from"] = np.where(by_tail, "tail", "rank").astype(object)
    table.loc[table.index[places], "depth"] = np.array(_DEPTH, dtype=object)[
        judgement.beyond_depth + 1
    ]


def _not_judged(scores: Floats, n_null: int) -> str:
    if n_null < score_null.FEWEST:
        return f"{n_null} sure leukocytes have a score, a null needs {score_null.FEWEST}"
    if np.ptp(scores) == 0:
        return f"all cells have the score {scores[0]:g}"
    return ""


def _with_depth(
    score: Floats, depth: Floats, kind: npt.NDArray[np.object_], is_null: Bools
) -> float:
    """Spearman's correlation of score and depth in null cells, by kind, weighted by cells."""
    correlations, weight = [], []
    members = score_null.sources(kind, is_null)
    for name, rows in members.items():
        alone = name != score_null.ALL or len(members) == 1
        if alone and np.ptp(score[rows]) > 0 and np.ptp(depth[rows]) > 0:
            correlations.append(float(distributions.spearmanr(score[rows], depth[rows]).statistic))
            weight.append(rows.size)
    return float(np.average(correlations, weights=weight)) if correlations else float("nan")


def words(calibrated: Calibrated) -> list[str]:
    """Summarise a calibrated score for a person, in several lines."""
    table = calibrated.table
    null = table[table["is_leukocyte"] & np.isfinite(table["score"])]
    kinds = ", ".join(f"{kind} {n}" for kind, n in null["kind"].value_counts().items())
    lines = [
        f"score `{calibrated.name}`: {len(table)} cells,"
        f" {int((~np.isfinite(table['score'])).sum())} without a finite score;"
        f" null: {len(null)} sure leukocytes ({kinds or 'none'})"
    ]
    if calibrated.not_judged:
        return [*lines, f"not judged: {calibrated.not_judged}; p is empty"]
    lines.append(f"rank correlation of the score with counts: {calibrated.depth_correlation:.2f}")
    if calibrated.check:
        seen = ", ".join(
            f"{share:.2g} ({low:.2g} to {high:.2g}) at {level:g}"
            for level, share, low, high in calibrated.check
        )
        lines.append(f"check, leukocytes judged by the half they are not in: {seen}")
    else:
        fewest = 2 * score_null.FEWEST
        lines.append(f"check: not run, {len(null)} sure leukocytes, needs {fewest}")
    without = int((np.isfinite(table["score"]) & table["p"].isna()).sum())
    if without:
        lines.append(
            f"not judged: {without} cells of less than half of the counts of any leukocyte"
        )
    few, called = table["expected_false"] <= 1, table["q"] <= _FDR
    tails = int((table["p_from"] == "tail").sum())
    lines.append(
        f"{int(few.sum())} cells at an expected number of false calls of 1 or less,"
        f" {int(called.sum())} at q <= {_FDR:g}; p of {tails} is carried on by a tail beyond all"
        " leukocytes"
    )
    return lines
