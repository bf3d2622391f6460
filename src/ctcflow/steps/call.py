"""Decide what each cell is, with an error rate, and count per draw. Reads no counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.evidence import classes
from ctcflow.evidence.identity import LINE as IDENTITY
from ctcflow.evidence.line import Column
from ctcflow.evidence.lines import columns
from ctcflow.files import io
from ctcflow.records.call import (
    Aggregate,
    Call,
    Controls,
    SampleAggregate,
    SampleCounts,
    SampleDecoys,
    SampleLedgerLine,
    SampleNotRun,
    SampleQuality,
    SampleSetAside,
    Tail,
)
from ctcflow.records.ingest import SampleIngest
from ctcflow.records.qc import QC
from ctcflow.records.score import Score
from ctcflow.settings.params import CallParams
from ctcflow.stats.calls import aggregates, controls, counting, p_values, reviews
from ctcflow.stats.droplets import sharing
from ctcflow.stats.panels import origin
from ctcflow.stats.panels.phenotypes import against_calls, phenotypes
from ctcflow.stats.thresholds import MISSING_P

if TYPE_CHECKING:
    from anndata import AnnData


class Counts(NamedTuple):
    """Records that are collected over the samples."""

    samples: list[SampleCounts]
    ledger: list[SampleLedgerLine]
    set_aside: list[SampleSetAside]
    qc: list[SampleQuality]
    ingest: list[SampleIngest]
    not_run: list[SampleNotRun]
    aggregates: list[SampleAggregate]
    tail: list[Tail]
    decoys: list[SampleDecoys]


_WINDOW = (1.0, 3.5)  # range of nominal -log10 p of null cells for measuring inflation
_TUMOUR = ("CTC", "CTC aggregate")
_SHARED_ALPHA = 1e-3
_LEAST_EVIDENCE = 0.9  # of the weights of the panels that were tested
_MANY_AGGREGATES = 0.2  # of the cells of a sample
_NOMINAL = (1e-1, 1e-2, 1e-3, 1e-4)
_BESIDE = (keys.SIGNATURES, keys.COPY_NUMBER)
_VERDICT = ("sample", "barcode", "verdict", "reviewer", "reason")
_CATEGORIES = (keys.SAMPLE, keys.CLASS)


def call(
    cohort: Iterable[AnnData],
    verdicts: pd.DataFrame | None,
    frozen: Controls | None,
    tissue_markers: pd.DataFrame,
    *,
    params: CallParams,
) -> AnnData:
    """Class, p and q of every cell; counts per sample and draw; the ledger.

    p is twice the smaller of two p-values: that of missing blood identity alone, and that of
    identity and panel combined (Fisher's method, made larger if the p-values of the sample's own
    leukocytes are inflated).

    Parameters
    ----------
    cohort
        Per sample, the obs, obsm and uns of `qc` and `score`; counts are not read.
    verdicts
        A reviewer's verdicts: `sample`, `barcode`, `verdict` (`confirm` or `veto`), `reviewer`,
        `reason`.
    frozen
        `dispersion`, `blanks` and `healthy` of a frozen reference, used if there are no controls.
    tissue_markers
        Marker genes of tissues of origin: see `stats.panels.origin.markers`.
    params
        Error rate and confidence.

    Returns
    -------
    AnnData
        Without X; one row per cell that was kept, named `sample:barcode`. obs `sample`,
        `barcode`, `class`, `p`, `q`, the lines of evidence, `partner`, `phenotype`, `reason`, the
        verdicts; obsm `signatures`, `signatures_z`, `copy_number`; uns `call`: see
        `render.tables.of_run`.
    """
    import anndata

    reviewed = pd.DataFrame(columns=_VERDICT, dtype=object) if verdicts is None else verdicts
    tables: list[pd.DataFrame] = []
    beside: dict[str, list[pd.DataFrame]] = {slot.key: [] for slot in _BESIDE}
    records = Counts([], [], [], [], [], [], [], [], [])
    totals: dict[str, pd.Series] = {}
    rows: list[counting.Row] = []
    null_p: list[npt.NDArray[np.float64]] = []
    pools: dict[str, list[origin.Pool]] = {}
    for adata in cohort:
        row = io.sheet_row(adata)
        name = str(row["sample"])
        rows.append(row)
        of_sample = reviewed[reviewed["sample"] == name]
        table, factor = _call_sample(adata, of_sample, records.not_run, params)
        table.insert(0, keys.SAMPLE.key, name)
        tables.append(table)
        for slot in _BESIDE:
            beside[slot.key].append(adata.obsm[slot.key].set_axis(table.index, axis=0))
        totals[name] = adata.obs[keys.TOTAL_COUNTS.key]
        # the null cells were chosen by their blood identity, so false calls cannot be among them
        every = row.get("role") in controls.CONTROLS
        null = every | adata.obs[keys.IS_LEUKOCYTE.key].to_numpy(bool)
        null_p.append(table.loc[null, keys.P.key].to_numpy(np.float64))
        records.tail.append({"sample": name, "n_null": len(null_p[-1]), "factor": factor})
        _collect(records, name, adata, table, params)
        pools.setdefault(str(row["draw"]), []).append(_pool(adata, table))
        records.samples.append(_sample_record(row, adata, table, params))
    _flag_shared_barcodes(records, totals)
    result = anndata.AnnData(obs=_obs(tables))
    for key, parts in beside.items():
        result.obsm[key] = pd.concat(parts).set_axis(result.obs_names, axis=0)
    called = result.obs[keys.CLASS.key].isin(_TUMOUR).to_numpy()
    signatures = result.obsm[keys.SIGNATURES.key]
    result.obsm[keys.SIGNATURES_Z.key] = against_calls(signatures, called=called)
    record = _record(records, rows, null_p, frozen, params)
    _add_origin(record, pools, tissue_markers)
    io.write_record(result, keys.CALL, record)
    return result


def _flag_shared_barcodes(records: Counts, totals: Mapping[str, pd.Series]) -> None:
    by_name = {record["sample"]: record for record in records.samples}
    for name, sentence in sharing.sentences(totals, alpha=_SHARED_ALPHA):
        by_name[name]["flags"].append(sentence)


def _pool(adata: AnnData, table: pd.DataFrame) -> origin.Pool:
    """Counts of cells called `CTC`; aggregates are left out, since they contain a leukocyte."""
    score = io.record(adata, keys.SCORE, Score)
    ctc = (table[keys.CLASS.key] == "CTC").to_numpy()
    counts = adata.obsm[keys.TISSUE_COUNTS.key].tocsr()[np.flatnonzero(ctc)]
    return origin.Pool(counts, np.array(score["tissue_genes_measured"], dtype=bool))


def _add_origin(
    record: Call, pools: Mapping[str, list[origin.Pool]], tissue_markers: pd.DataFrame
) -> None:
    """Write the tissue of origin: `origin`, a ranked list per draw, and a sentence in `draws`."""
    of, record["origin"] = origin.markers(tissue_markers), []
    for draw in record["draws"]:
        origins = origin.origin(pools[draw["draw"]], of=of)
        draw["tissue_of_origin"] = origins.sentence
        for answer in origins.answers:
            record["origin"].append(
                {
                    "draw": draw["draw"],
                    "cells": origins.cells,
                    "counts": origins.counts,
                    "level": answer.level,
                    "rank": answer.rank,
                    "name": answer.name,
                    "weight": answer.weight,
                    "lower": answer.lower,
                    "upper": answer.upper,
                    "told": answer.told,
                }
            )


def _obs(tables: list[pd.DataFrame]) -> pd.DataFrame:
    obs = pd.concat(tables)
    obs.index = pd.Index(obs[keys.SAMPLE.key] + ":" + obs[keys.BARCODE.key], dtype=object)
    of_lines = [column.slot for column in _shown() if column.kind == "category"]
    for slot in (*_CATEGORIES, *of_lines):
        obs[slot.key] = pd.Categorical(obs[slot.key].astype(str))
    return obs


def _shown() -> tuple[Column, ...]:
    """Columns of the lines of evidence that are kept in the result."""
    return (IDENTITY.column(keys.LINEAGE), *columns(listed=True))


def _call_sample(
    adata: AnnData, verdicts: pd.DataFrame, not_run: list[SampleNotRun], params: CallParams
) -> tuple[pd.DataFrame, float]:
    obs, index = adata.obs, pd.Index(adata.obs_names.to_numpy(dtype=object), dtype=object)
    evidence = obs[keys.EVIDENCE.key].to_numpy(np.float64)
    p_identity = obs[keys.P_IDENTITY.key].to_numpy(np.float64)
    null = obs[keys.IS_LEUKOCYTE.key].to_numpy(dtype=bool)
    factor = p_values.gamma_rate(evidence[null], low=_WINDOW[0], high=_WINDOW[1])
    p = p_values.first_alone_or_both_p(p_identity, p_values.fisher_p(evidence * factor))
    q = p_values.benjamini_hochberg(p)
    together = _together(adata)
    evidence_of = classes.Evidence.of(together, significant=(q <= params.fdr) & (p <= params.max_p))
    named, reasons = classes.classify(evidence_of)
    for row in np.flatnonzero((together[keys.N_ALIKE.key] > 1).to_numpy() & (named != "blood")):
        reasons[row] += _shown_together(together.iloc[row])
    limits = {"fdr": params.fdr, "max_p": params.max_p}
    _say_as_likely(reasons, classes.as_likely(evidence_of, p=p, q=q, **limits))
    outcome = reviews.apply(
        named,
        reasons,
        barcodes=index.to_numpy(dtype=object),
        p_identity=p_identity,
        verdicts=verdicts,
        identity_p=MISSING_P,
    )
    name = str(io.sheet_row(adata)["sample"])
    not_run.extend({"sample": name, **lost} for lost in outcome.not_applied)
    table = _lines_of(obs, index)
    table[keys.N_ALIKE.key] = together[keys.N_ALIKE.key].to_numpy()
    table[keys.CLASS.key], table[keys.P.key], table[keys.Q.key] = outcome.classes, p, q
    # if no partner is significant, the blood lineage that fits the droplet best is the partner
    beside = obs[keys.P_PARTNER.key].to_numpy(np.float64) <= classes.PARTNER_P
    partner = np.where(beside, obs[keys.PARTNER_LINEAGE.key].astype(str), table[keys.LINEAGE.key])
    table[keys.PARTNER.key] = np.where(outcome.classes == "CTC aggregate", partner, "")
    called = np.isin(outcome.classes, _TUMOUR)
    # whether an aberration would have been detected depends on the cell's own counts
    of_cell = evidence_of._replace(umis=obs[keys.TOTAL_COUNTS.key].to_numpy(np.float64))
    table[keys.MALIGNANCY.key] = classes.malignancy(of_cell, called=called)
    table[keys.PHENOTYPE.key] = phenotypes(adata.obsm[keys.SIGNATURES.key], called=called)
    table[keys.REASON.key] = outcome.reasons
    table[keys.CLASS_BEFORE_REVIEW.key] = outcome.before
    table[keys.VERDICT.key], table[keys.REVIEWER.key] = outcome.verdict, outcome.reviewer
    return table, factor


def _say_as_likely(reasons: npt.NDArray[np.object_], as_likely: npt.NDArray[np.object_]) -> None:
    """Add to the reason of a cell the other class that it may have by the random error of p."""
    for row in np.flatnonzero(as_likely != ""):
        said = f"`{as_likely[row]}` is within the random error of p"
        reasons[row] = "; ".join(filter(None, [reasons[row], said]))


def _lines_of(obs: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Barcode of each cell, and the columns of the lines of evidence."""
    table = pd.DataFrame({keys.BARCODE.key: index}, index=index)
    for slot in (keys.EVIDENCE, keys.TOTAL_COUNTS):
        table[slot.key] = obs[slot.key].to_numpy()
    for column in _shown():
        values = obs[column.slot.key]
        if column.kind in ("category", "text"):
            values = values.astype(str).astype(object)
        table[column.slot.key] = values.to_numpy()
    return table


def _together(adata: AnnData) -> pd.DataFrame:
    """Lines of evidence of each cell, or of its group where it is judged together with others.

    For blood identity a group can only weaken the evidence: its cells were all selected for a small
    p, so leukocytes that are outliers by chance would be extreme outliers when summed.
    """
    alike, obs = adata.obsm[keys.ALIKE.key], adata.obs.copy()
    # In a group that fits blood, shared panel genes may be ambient RNA: its cells are judged alone.
    like_blood = (alike[keys.OVER_BLOOD.key] < classes.UNDER_BLOOD).to_numpy()
    several = (obs[keys.N_ALIKE.key] > 1).to_numpy() & ~like_blood
    obs[keys.N_ALIKE.key] = np.where(several, obs[keys.N_ALIKE.key], 1)
    for key, how in _judged_together().items():
        cell, group = (of[key] for of in (adata.obs, alike))
        obs[key] = np.where(several, _HOW[how](cell, group), cell)
    return obs


def _judged_together() -> dict[str, str]:
    every = {keys.TOTAL_COUNTS.key: "group"}
    every |= {column.slot.key: column.together for column in columns(listed=False)}
    return {key: how for key, how in every.items() if how != "own"}


def _of_the_group(cell: pd.Series, group: pd.Series) -> Any:
    return group.astype(object) if group.dtype.name in ("category", "object") else group


def _weaker(cell: pd.Series, group: pd.Series) -> Any:
    return np.fmax(cell.to_numpy(np.float64), group.to_numpy(np.float64))


def _either(cell: pd.Series, group: pd.Series) -> Any:
    """The smaller p of both, times two (Bonferroni); NaN where neither was judged."""
    p = np.stack([of.to_numpy(np.float64) for of in (cell, group)])
    least = np.where(np.isnan(p), np.inf, p).min(axis=0)
    return np.where(np.isinf(least), np.nan, np.minimum(1.0, 2.0 * least))


_HOW: Final = {"group": _of_the_group, "weaker": _weaker, "either": _either}


def _shown_together(cell: pd.Series) -> str:
    """In words, what the group of a cell shows; the columns in the tables are the cell's own."""
    p, copies = cell[keys.P_PANEL.key], cell[keys.P_COPY_NUMBER.key]
    words = f"panel p {p:.2g} with {cell[keys.N_PANEL_GENES.key]} genes"
    if not np.isnan(copies):
        words += f", copy number p {copies:.2g}"
    beside = cell[keys.N_ALIKE.key] - 1
    return f"; judged together with {beside} cells that are like it ({words})"


def _record(
    records: Counts,
    rows: list[counting.Row],
    null_p: list[npt.NDArray[np.float64]],
    frozen: Controls | None,
    params: CallParams,
) -> Call:
    counted = counting.count_draws(
        records.samples,
        rows,
        confidence=params.confidence,
        dispersion=params.dispersion,
        frozen=frozen,
    )
    counting.library_intervals(
        records.samples, ratio=counted.dispersion["ratio"], confidence=params.confidence
    )
    return {
        "samples": records.samples,
        "draws": counted.draws,
        "origin": [],
        "dispersion": counted.dispersion,
        "blanks": counted.blanks,
        "healthy": controls.false_calls(
            records.samples, fdr=params.fdr, confidence=params.confidence, frozen=frozen
        ),
        "calibration": {
            "n_null": sum(record["n_null"] for record in records.tail),
            "observed": p_values.reached(np.concatenate(null_p), levels=_NOMINAL),
            "tail": records.tail,
            "decoys": records.decoys,
        },
        "aggregates": records.aggregates,
        "ledger": records.ledger,
        "set_aside": records.set_aside,
        "qc": records.qc,
        "ingest": records.ingest,
        "not_run": records.not_run,
    }


def _collect(
    records: Counts, name: str, adata: AnnData, table: pd.DataFrame, params: CallParams
) -> None:
    qc, score = io.record(adata, keys.QC, QC), io.record(adata, keys.SCORE, Score)
    records.ledger.extend({"sample": name, **line} for line in qc["ledger"])
    for chosen in classes.CLASSES:
        count = int((table[keys.CLASS.key] == chosen).sum())
        records.ledger.append(
            {"sample": name, "stage": "call", "reason": f"class: {chosen}", "cells": count}
        )
    records.set_aside.extend({"sample": name, **droplet} for droplet in qc["set_aside"])
    records.qc.append(
        {
            "sample": name,
            "umis": qc["umis"],
            "limits": qc["limits"],
            "distributions": qc["distributions"],
            "ambient": qc["ambient"],
            "droplets": qc["droplets"],
            "doublet_rate": qc["doublet_rate"],
        }
    )
    records.ingest.append(_ingested(name, qc, score))
    aggregated = _aggregates(adata, table, qc["doublet_rate"], params)
    records.aggregates.extend({"sample": name, **of_partner} for of_partner in aggregated)
    records.decoys.extend({"sample": name, **of_level} for of_level in score["decoys"])
    records.not_run.extend({"sample": name, **lost} for lost in qc["not_run"] + score["not_run"])


def _ingested(name: str, qc: QC, score: Score) -> SampleIngest:
    """What `ingest` noticed, as one row."""
    read = qc.get("ingest") or {}
    return {
        "sample": name,
        "format": read.get("format", ""),
        "cells": read.get("n_cells", 0),
        "genes": read.get("n_genes", 0),
        "genes_known": read.get("genes_recognised", 0),
        "mt_genes": read.get("mt_genes", 0),
        "panel_genes": _panel_genes(score),
        "features_kept_apart": read.get("features_kept_apart", 0),
        "genes_summed": read.get("duplicates_summed", 0),
        "values_rounded": read.get("values_rounded", 0),
        "notes": "; ".join(read.get("notes", [])),
    }


def _aggregates(
    adata: AnnData, table: pd.DataFrame, rate: float | None, params: CallParams
) -> list[Aggregate]:
    """Aggregates with tumour cells in a sample, compared with random co-loading."""
    named = table[keys.CLASS.key]
    tumour, both = named == "CTC", named == "CTC aggregate"
    if rate is None or not (tumour | both).any():
        return []
    single = (named == "blood") & ~adata.obs[keys.PREDICTED_DOUBLET.key].to_numpy(bool)
    lineage = table[keys.PARTNER.key].where(both, table[keys.LINEAGE.key])
    partner = lineage.map(aggregates.PARTNER_OF)
    return aggregates.against_chance(
        partner[both].value_counts().to_dict(),
        tumour=int(tumour.sum()),
        singles={name: int((partner[single] == name).sum()) for name in aggregates.PARTNERS},
        n_droplets=len(table),
        rate=rate,
        confidence=params.confidence,
    )


def _lacking_panel_genes(score: Score) -> str:
    """Why a sample without a call says nothing; empty where its file has the panel genes."""
    if score.get("panel_evidence_in_data", 1.0) >= _LEAST_EVIDENCE:
        return ""
    return f"cannot be judged: {_panel_genes(score)} panel genes in the data"


def _panel_genes(score: Score) -> str:
    return f"{score.get('panel_genes_in_data', 0)} of {score.get('panel_genes', 0)}"


def _flags(adata: AnnData, n_aggregates: int, lacking: str, params: CallParams) -> list[str]:
    """What to keep in mind of a sample, in sentences."""
    flags = []
    if adata.n_obs == 0:
        flags.append("no cell was kept")
    leukocytes = int(adata.obs[keys.IS_LEUKOCYTE.key].sum())
    if 0 < leukocytes < params.few_leukocytes or (leukocytes == 0 and adata.n_obs):
        flags.append(f"only {leukocytes} leukocytes: p rests on shipped blood rates")
    if n_aggregates > _MANY_AGGREGATES * adata.n_obs:
        flags.append(
            f"{n_aggregates} of {adata.n_obs} cells are called aggregates: RNA of lysed tumour"
            " cells may be in every droplet"
        )
    if lacking:
        flags.append(
            f"{lacking.removeprefix('cannot be judged: ')}: where genes that few cells show were"
            " removed, the evidence of rare tumour cells was removed with them"
        )
    return flags


def _sample_record(
    row: counting.Row, adata: AnnData, table: pd.DataFrame, params: CallParams
) -> SampleCounts:
    named, before = table[keys.CLASS.key], table[keys.CLASS_BEFORE_REVIEW.key]
    machine = before.where(before != "", named)
    counts = {name: int((named == name).sum()) for name in classes.CLASSES}
    lacking = _lacking_panel_genes(io.record(adata, keys.SCORE, Score))
    reviewed = reviews.summary(table[keys.VERDICT.key].to_numpy(dtype=object))
    flags = _flags(adata, counts["CTC aggregate"], lacking, params)
    flags += [reviewed] if reviewed else []
    umis = table[keys.TOTAL_COUNTS.key]
    ambient = io.record(adata, keys.QC, QC)["ambient"]
    return {
        "sample": row["sample"],
        "patient": row.get("patient"),
        "draw": row["draw"],
        "day": row.get("day"),
        "role": row.get("role", ""),
        "batch": row.get("batch"),
        "cells": int(adata.n_obs),
        "n_CTC": counts["CTC"],
        "n_aggregate": counts["CTC aggregate"],
        "n_aneuploid": int((table[keys.MALIGNANCY.key] == classes.ANEUPLOID).sum()),
        "n_diploid": int((table[keys.MALIGNANCY.key] == classes.DIPLOID).sum()),
        "n_other": counts["non-blood other"],
        "n_uncertain": counts["uncertain"],
        "n_before_review": int(machine.isin(_TUMOUR).sum()),
        "median_umis": float(umis.median()) if len(umis) else None,
        "ambient": ambient["share"],
        "ambient_low": ambient["low"],
        "ambient_high": ambient["high"],
        "judged": "" if counts["CTC"] + counts["CTC aggregate"] else lacking,
        "flags": flags,
    }
