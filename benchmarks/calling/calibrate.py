"""Is `ctcflow calibrate` honest for anyone's score, and does its null stay where it is?

* Real blood, each of four files alone: scores without and with a depth, a type and a tail. Each
  leukocyte is judged by the half of the leukocytes that it is not in, for several halves; shares of
  p at or below a level over that level, of all cells and by third of depth. `own kind only` leaves
  out that p is the largest over kinds of leukocytes: there the share should be as claimed.
* Tumour cells in blood: the same blood cells and the same tumour cells, with as many further tumour
  cells that they are 2 % or 50 % of the sample. Scores are of each cell alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from benchmarks.calling.draws import Claim, blood_source, each, interval, tumour_source
from benchmarks.calling.shares import TUMOURS, chosen_cells
from benchmarks.samples import BLOOD, REPOSITORY, over, sample, thinned

from ctcflow.calibrate import LEVELS, TABLES, Cells, cells_of, judged
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.stats.calls.score_null import cross_fitted, judge
from ctcflow.stats.counts.gene_sets import genes_of_sets

Floats = npt.NDArray[np.float64]

HALVES = 10
"""Random halves of the leukocytes of a file."""
WITHIN = 2.0
N_BLOOD = 440
SHARES = (0.02, 0.5)
DEPTHS = (5000, 1500, 600)
POWER_SCORES = ("epithelial genes", "chromosome arms")
MOST_TAKEN = 1
"""Tumour cells of a sample that are taken for leukocytes."""
SAME = 0.1
"""Median of |log10 p / p| between the two shares (-log10 units)."""
T_CELL = ("CD3D", "CD3E", "CD3G", "CD2", "IL7R", "TRAC", "TRBC2", "CD7", "LCK")


class Task(NamedTuple):
    """Samples of one tumour at one depth."""

    tumour: str
    umis: int
    seed: np.random.SeedSequence


@lru_cache
def shipped(name: str) -> pd.DataFrame:
    return io.read_table(REPOSITORY / "resources" / SHIPPED[name])


def known(adata: ad.AnnData) -> Cells:
    return cells_of(adata, {name: shipped(name) for name in TABLES})


def mean_of(counts: sp.csr_matrix, names: pd.Index, genes: frozenset[str] | tuple) -> Floats:
    """Mean of log(1 + counts per 10,000) of some genes."""
    total = np.maximum(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel(), 1.0)
    counts_of_genes = counts[:, np.flatnonzero(names.isin(list(genes)))].toarray()
    return np.asarray(np.log1p(1e4 * counts_of_genes / total[:, None]).mean(axis=1))


@lru_cache
def arm_of() -> pd.Series:
    genes = shipped("genes").drop_duplicates("symbol").set_index("symbol")
    arm = genes["chromosome"].astype(str) + genes["arm"].astype(str)
    return arm[genes["chromosome"].astype(str).str.fullmatch(r"\d+")]


def arms(counts: sp.csr_matrix, names: pd.Index) -> Floats:
    """Squared deviation of chromosome arms from other blood (v3), less what counts scatter."""
    other = blood_source("pbmc1k_v3")
    arm = arm_of().reindex(names)
    places = arm.notna().to_numpy() & names.isin(other.var_names)
    codes, labels = pd.factorize(arm[places], sort=True)
    member = sp.csr_matrix((np.ones(codes.size), (np.arange(codes.size), codes)))
    by_arm = counts[:, np.flatnonzero(places)] @ member
    usual = np.asarray((over(other, names[places]) @ member).sum(axis=0)).ravel()
    seen = by_arm.toarray()[:, usual > 0]
    expected = seen.sum(axis=1, keepdims=True) * (usual[usual > 0] / usual.sum())
    noise = (seen - expected) ** 2 - expected
    return np.asarray(noise.sum(axis=1) / np.maximum((expected**2).sum(axis=1), 1.0))


def scores(adata: ad.AnnData, rng: np.random.Generator) -> dict[str, Floats]:
    """Scores of each cell alone, higher is more like a tumour in some of them."""
    counts, names = adata.X.tocsr().astype(np.float64), adata.var_names
    panel = genes_of_sets(shipped("panels"))["pan_epithelial"]
    total = np.asarray(counts.sum(axis=1)).ravel()
    return {
        "random, normal": rng.normal(size=adata.n_obs),
        "random, t of 3 degrees": rng.standard_t(3, size=adata.n_obs),
        "log counts": np.log(np.maximum(total, 1.0)),
        "epithelial genes": mean_of(counts, names, panel),
        "T-cell genes": mean_of(counts, names, T_CELL),
        "chromosome arms": arms(counts, names),
    }


def table(*, processes: int, seed: int) -> dict[str, pd.DataFrame]:
    """`calibrate_null`: observed over nominal in blood; `calibrate_shares`: tumour cells."""
    seeds = np.random.SeedSequence(seed).spawn(len(BLOOD) + len(TUMOURS) * len(DEPTHS))
    jobs = list(zip(BLOOD, seeds[: len(BLOOD)], strict=True))
    null = pd.concat(each(of_blood, jobs, processes=processes), ignore_index=True)
    at = zip(product(TUMOURS, DEPTHS), seeds[len(BLOOD) :], strict=True)
    tasks = [Task(tumour, umis, child) for (tumour, umis), child in at]
    shares = pd.concat(each(of_shares, tasks, processes=processes), ignore_index=True)
    depth = pd.concat(each(of_depth, jobs, processes=processes), ignore_index=True)
    return {"calibrate_null": null, "calibrate_shares": shares, "calibrate_depth": depth}


def of_blood(job: tuple[str, np.random.SeedSequence]) -> pd.DataFrame:
    name, seed = job
    rng = np.random.default_rng(seed)
    adata = blood_source(name)
    cells = known(adata)
    one_kind = np.full(cells.kind.size, "leukocyte", dtype=object)
    third = pd.qcut(cells.counts[cells.is_leukocyte], 3, labels=["low", "middle", "high"])
    rows = []
    for score, values in scores(adata, rng).items():
        for judged_by, kind in (("the largest over kinds", cells.kind), ("all together", one_kind)):
            p = np.concatenate(
                [
                    cross_fitted(
                        values,
                        depth=cells.counts,
                        kind=kind,
                        is_null=cells.is_leukocyte,
                        rng=rng,
                    )
                    for _ in range(HALVES)
                ]
            )
            depth = np.tile(np.asarray(third), HALVES)
            for part in ("all", "low", "middle", "high"):
                p_of_part = p if part == "all" else p[depth == part]
                where = {"blood": name, "score": score, "judged_by": judged_by, "depth": part}
                rows += [
                    {**where, **_reached(p_of_part, p_of_part.size // HALVES, level)}
                    for level in LEVELS
                ]
    return pd.DataFrame(rows)


def of_depth(job: tuple[str, np.random.SeedSequence]) -> pd.DataFrame:
    """The deepest quarter of the leukocytes judged by the half that is less deep.

    And those of the less deep half that have at least half of the counts of any deeper one, by the
    deeper half.
    """
    name, seed = job
    adata = blood_source(name)
    cells = known(adata)
    limit, deep = np.quantile(cells.counts[cells.is_leukocyte], [0.5, 0.75])
    deeper = cells.is_leukocyte & (cells.counts >= limit)
    less = cells.is_leukocyte & (cells.counts < limit)
    rows = []
    for score, values in scores(adata, np.random.default_rng(seed)).items():
        for side, null, judged_cells in (
            ("deeper", less, deeper & (cells.counts > deep)),
            ("shallower", deeper, less),
        ):
            p = judge(values, depth=cells.counts, kind=cells.kind, is_null=null).p
            p_of_side = p[judged_cells & np.isfinite(p)]
            where = {"blood": name, "score": score, "side": side}
            rows += [{**where, **_reached(p_of_side, p_of_side.size, level)} for level in LEVELS]
    return pd.DataFrame(rows)


def _reached(p: Floats, n: int, level: float) -> dict[str, object]:
    share = float((p <= level).mean())
    low, high = interval(share, n)
    found = {"level": level, "n_null": n, "observed_over_nominal": share / level}
    return {**found, "low": low / level, "high": high / level}


def of_shares(task: Task) -> pd.DataFrame:
    """The same blood and the same tumour cells in samples of 2 and of 50 % tumour cells."""
    rng = np.random.default_rng(task.seed)
    tumour, blood = tumour_source(task.tumour), blood_source("pbmc1k_v2")
    names = blood.var_names.union(tumour.var_names)
    beside = over(blood, names)[rng.permutation(blood.n_obs)[:N_BLOOD]]
    # some tumour cells come twice, thinned anew
    order = chosen_cells(tumour.n_obs, N_BLOOD, rng)
    drawn = thinned(over(tumour, names)[order].astype(np.int64), task.umis, rng)
    whole = sample({"blood": beside, "tumour": drawn}, names)
    values = scores(whole, rng)
    both = []
    for share in SHARES:
        n_tumour = round(N_BLOOD * share / (1 - share))
        part = whole[: N_BLOOD + n_tumour].copy()
        cells = known(part)
        both.append((part, cells, {name: values[name][: part.n_obs] for name in POWER_SCORES}))
    return pd.DataFrame([_compared(task, name, both) for name in POWER_SCORES])


def _compared(task: Task, name: str, both: list) -> dict[str, object]:
    p, row = [], {"tumour": task.tumour, "umis": task.umis, "score": name}
    for share, (part, cells, values) in zip(SHARES, both, strict=True):
        calibrated = judged(cells, values[name], name=name, lower=False).table
        is_tumour = part.obs["part"].to_numpy() == "tumour"
        few = (calibrated["expected_false"] <= 1).to_numpy()
        p.append(calibrated["p"].to_numpy(np.float64))
        at = f"{share:.0%}"
        row[f"tumour cells, {at}"] = int(is_tumour.sum())
        row[f"taken for leukocytes, {at}"] = int(cells.is_leukocyte[is_tumour].sum())
        row[f"leukocytes, {at}"] = int(cells.is_leukocyte[~is_tumour].sum())
        row[f"tumour p <= .01, {at}"] = float((p[-1][is_tumour] <= 0.01).mean())
        row[f"tumour p <= .001, {at}"] = float((p[-1][is_tumour] <= 0.001).mean())
        row[f"false at expected 1, {at}"] = int((few & ~is_tumour).sum())
    first = p[0].size
    off = np.abs(np.log10(p[1][:first]) - np.log10(p[0]))
    row["median change, blood"] = float(np.median(off[:N_BLOOD]))
    row["largest change, blood"] = float(off[:N_BLOOD].max())
    row["median change, tumour"] = float(np.median(off[N_BLOOD:]))
    row["largest change, tumour"] = float(off[N_BLOOD:].max())
    return row


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    null = found["calibrate_null"]
    for (score, judged_by), group in null[null["depth"] == "all"].groupby(
        ["score", "judged_by"], sort=False
    ):
        pooled = group.groupby("level", sort=False).apply(_pooled, include_groups=False)
        seen = ", ".join(f"{ratio:.2f} at {level:g}" for level, ratio in pooled.items())
        yield f"{score}, {judged_by}: observed over nominal", seen, bool((pooled <= WITHIN).all())
    for (side, score), group in found["calibrate_depth"].groupby(["side", "score"], sort=False):
        pooled = group.groupby("level", sort=False).apply(_pooled, include_groups=False)
        seen = ", ".join(f"{ratio:.2f} at {level:g}" for level, ratio in pooled.items())
        what = f"{score}, leukocytes {side} than the null: observed over nominal"
        yield what, seen, bool((pooled <= WITHIN).all())
    rows = found["calibrate_shares"]
    for (tumour, score), group in rows.groupby(["tumour", "score"], sort=False):
        for _, row in group.iterrows():
            change = max(row["median change, blood"], row["median change, tumour"])
            seen = (
                f"median change of log10 p {row['median change, blood']:.3f} (blood),"
                f" {row['median change, tumour']:.3f} (tumour); tumour p <= .001:"
                f" {row['tumour p <= .001, 2%']:.2f} and {row['tumour p <= .001, 50%']:.2f}"
            )
            yield f"{score}, {tumour}, {row['umis']} UMI: 2 % as 50 %", seen, bool(change <= SAME)
    taken = rows[[f"taken for leukocytes, {share:.0%}" for share in SHARES]].to_numpy().max()
    yield (
        f"tumour cells taken for leukocytes in a sample <= {MOST_TAKEN}",
        str(taken),
        bool(taken <= MOST_TAKEN),
    )


def _pooled(files: pd.DataFrame) -> float:
    """Mean over files, weighted by their leukocytes."""
    return float(np.average(files["observed_over_nominal"], weights=files["n_null"]))
