"""Quality control: measure cells and flag those to set aside; nothing is removed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.records.ingest import Features, Ingest
from ctcflow.records.qc import QC, Ambient, Decided
from ctcflow.records.run import NotRun
from ctcflow.settings.sample_params import QCParams
from ctcflow.stats.counts.checks import own_droplets
from ctcflow.stats.counts.content import content_order
from ctcflow.stats.counts.gene_sets import handling
from ctcflow.stats.droplets import ambient, doublets, sample_ambient
from ctcflow.stats.droplets.metrics import SHARES, Quality, quality
from ctcflow.stats.identity.coarse_lineage import ANUCLEATE, COARSE
from ctcflow.stats.quality import limits as lim
from ctcflow.stats.quality import qc_decisions, records
from ctcflow.stats.quality.ledger import joined, ledger
from ctcflow.stats.quality.qc_decisions import Judged, Known, Sample
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Names = npt.NDArray[np.object_]

_FEWEST_COMPARED: Final = 10
_MOST_COMPARED: Final = 500
_LEAST_OWN: Final = 0.8
"""Cells that are held against their droplets in the unfiltered file; the smallest share of them
that resembles its own droplet more than another. In files of one library it is above .99."""
_MOST_OF_REFERENCE: Final = 0.1  # largest limit on genes, as a share of the file's genes
_ANUCLEATE_GENES: Final = 0.2  # platelets and erythrocytes show this share of the genes
_NO_SOUP: Final[NotRun] = {
    "what": "test of droplets",
    "reason": "no unfiltered droplet has few enough counts (qc.ambient_umis)",
}


def qc(
    adata: AnnData,
    unfiltered: AnnData | None,
    panels: pd.DataFrame,
    background: pd.DataFrame,
    technical: pd.DataFrame,
    normal_profiles: pd.DataFrame,
    normal_types: pd.DataFrame,
    identity_null: pd.DataFrame,
    *,
    params: QCParams,
) -> AnnData:
    """Measure cells, decide which to set aside, and flag them.

    Parameters
    ----------
    adata
        Raw counts of one sample.
    unfiltered
        All droplets of the same library over the same genes, if they were given.
    panels
        Tumour panels; a gene of any panel is evidence here.
    background
        Largest share of a blood type in which each gene is seen (`symbol`, `max_pct_blood`).
    technical
        Gene sets by name or pattern: mitochondrial, ribosomal, haemoglobin, platelet,
        dissociation.
    normal_profiles, normal_types, identity_null
        Profiles of normal cells and the null of blood: see `score`.
    params
        Floors, ceilings and factors of the limits.

    Returns
    -------
    AnnData
        obs `total_counts`, `n_genes_by_counts` (per cell); `pct_counts_mt`, `pct_counts_ribo`,
        `pct_counts_hb`, `pct_counts_platelet` (percent, NaN where the reference has no such gene),
        `pct_other_species`; `coarse_lineage`; `tumour_evidence`; `doublet_score`,
        `predicted_doublet`, `aggregate_candidate` (flags only);
        `qc_flag` (reasons to set aside), `qc_remark` (reported only); `keep`. var
        `ambient_profile`; layers `corrected` if asked for. uns `qc`: limits, distributions, ambient
        RNA, droplets, ledger, set-aside droplets with tumour evidence, what was not run.
    """
    sample, order = _ordered(adata, technical)
    members = frozenset(panels.loc[panels["direction"] == 1, "gene"])
    known = Known(
        members, handling(technical), background, normal_profiles, normal_types, identity_null
    )
    raw = None if unfiltered is None else _unfiltered(sample, unfiltered, known, params)
    rules = _rules(sample, _n_measured(adata, sample), params)
    judged = qc_decisions.judged(sample, raw, known=known, rules=rules, min_umis=params.min_umis)
    keep = ~np.logical_or.reduce(list(judged.reasons.values())) | judged.rescued
    rate, doublet = _doublets(adata, sample, keep, params)
    ambient_rna = sample_ambient.measured(
        sample.counts,
        sample.genes,
        lineage=judged.lineage,
        used=keep & ~doublet.called,
        soup=raw.soup if raw else None,
        reads=sample.quality.reads,
        seed=params.seed,
    )
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    _write(adata, sample.quality, judged, keep, doublet, back)
    adata.var[keys.AMBIENT_PROFILE.key] = ambient_rna.profile
    correct = params.ambient == "correct" and not np.isnan(ambient_rna.found.rho)
    if correct:
        without = _without(sample, judged, keep, ambient_rna, seed=params.seed)
        adata.layers[keys.CORRECTED.key] = without[back]
    not_run = _not_run(sample, doublet, rate, ambient_rna.found)
    not_run += [_NO_SOUP] if unfiltered is not None and raw is None else []
    record: QC = {
        **_decided(sample, judged, raw, doublet, lower=params.ambient_umis),
        "ambient": _contamination(ambient_rna, raw, corrected=correct),
        "doublet_rate": rate,
        "not_run": not_run,
        "ingest": io.record(adata, keys.INGEST, Ingest),
    }
    io.write_record(adata, keys.QC, record)
    return adata


def _contamination(
    ambient_rna: sample_ambient.SampleAmbient, raw: qc_decisions.Raw | None, *, corrected: bool
) -> Ambient:
    measured_on = "droplets" if raw else "cells"
    return records.contamination(ambient_rna.found, measured_on=measured_on, corrected=corrected)


def _without(
    sample: Sample,
    judged: Judged,
    keep: Bools,
    ambient_rna: sample_ambient.SampleAmbient,
    *,
    seed: int,
) -> sp.csr_matrix:
    """Counts corrected for ambient RNA."""
    return sample_ambient.without(
        sample.counts, lineage=judged.lineage, kept=keep, ambient_rna=ambient_rna, seed=seed
    )


def _unfiltered(
    sample: Sample, unfiltered: AnnData, known: Known, params: QCParams
) -> qc_decisions.Raw | None:
    """Results from the unfiltered droplets; None if they contain no ambient RNA."""
    raw = qc_decisions.unfiltered(
        sample,
        sp.csr_matrix(unfiltered.X),
        unfiltered.obs_names.to_numpy(dtype=object),
        known=known,
        lower=params.ambient_umis,
        fdr=params.empty_fdr,
        seed=params.seed,
    )
    _refuse_another_library(sample, raw)
    _refuse_other_counts(sample, unfiltered)
    return raw


def _decided(
    sample: Sample,
    judged: Judged,
    raw: qc_decisions.Raw | None,
    doublet: doublets.Doublets,
    *,
    lower: int,
) -> Decided:
    """Record of the decisions on droplets, and of results from the unfiltered ones."""
    reads, lineage = sample.quality.reads, judged.lineage
    remarks = {**judged.remarks, "likely doublets": doublet.called}
    return {
        "umis": not reads,
        "limits": records.limits(judged.limits, lineage=lineage, reads=reads),
        "distributions": records.distributions(sample.quality, lineage=lineage),
        "droplets": records.droplets(raw.tested, lower=lower) if raw else None,
        "ledger": ledger(judged.reasons, rescued=judged.rescued, remarks=remarks)
        + (records.outside(raw.tested, judged.listed) if raw else []),
        "set_aside": judged.listed,
    }


def _refuse_another_library(sample: Sample, raw: qc_decisions.Raw | None) -> None:
    n = sample.barcodes.size
    if raw is not None and raw.beside.found < n / 2:
        raise CtcflowError(
            f"{raw.beside.found} of the {n} barcodes of path are among the"
            f" {raw.beside.barcodes.size + raw.beside.found} of raw_path: give the unfiltered"
            " droplets of the same library, with the same barcodes"
        )


def _refuse_other_counts(sample: Sample, unfiltered: AnnData) -> None:
    """Refuse droplets of another library whose barcodes are from the same list."""
    places = unfiltered.obs_names.get_indexer(pd.Index(sample.barcodes, dtype=object))
    shared = np.flatnonzero(places >= 0)
    if shared.size < _FEWEST_COMPARED:
        return
    shared = shared[np.unique(np.linspace(0, shared.size - 1, _MOST_COMPARED).astype(np.intp))]
    droplets = sp.csr_matrix(sp.csr_matrix(unfiltered.X)[places[shared]]).astype(np.float64)
    share = own_droplets(sample.counts[shared].astype(np.float64), droplets)
    if share < _LEAST_OWN:
        raise CtcflowError(
            f"the cells of path are not the droplets of these barcodes in raw_path (of"
            f" {shared.size} cells compared, {share:.0%} resemble their own droplet more than"
            " another's, and by chance it would be half): give the unfiltered droplets of the same"
            " library"
        )


def _ordered(adata: AnnData, technical: pd.DataFrame) -> tuple[Sample, Ints]:
    """The cells in the order of their content, and the row of each in the file.

    Thinning and resampling draw random numbers cell by cell, so that neither the order of the cells
    in the file nor their barcodes may matter.
    """
    counts, genes = sp.csr_matrix(adata.X), adata.var_names.to_numpy(dtype=object)
    order = content_order(counts, names=genes)
    counts = counts[order]
    described = io.record(adata, keys.OTHER_FEATURE_NAMES, Features)
    kinds = np.array(described.get("type", []), dtype=object)
    columns = np.flatnonzero(kinds == keys.OTHER_SPECIES_TYPE)
    foreign = np.zeros(order.size)
    if columns.size:  # `ingest` keeps genes of another species separately
        features = sp.csr_matrix(adata.obsm[keys.OTHER_FEATURES.key])[order][:, columns]
        foreign = np.asarray(features.sum(axis=1), dtype=np.float64).ravel()
    metrics = quality(counts, genes, technical=technical, foreign=foreign)
    return Sample(counts, genes, adata.obs_names.to_numpy(dtype=object)[order], metrics), order


def _n_measured(adata: AnnData, sample: Sample) -> int:
    """Number of genes in the file, without names that are unknown and that no cell has."""
    known = io.record(adata, keys.INGEST, Ingest).get("genes_recognised", sample.genes.size)
    shown = int(np.count_nonzero(np.bincount(sample.counts.indices)))
    return min(max(known, shown), sample.genes.size)


def _rules(sample: Sample, n_genes: int, params: QCParams) -> list[lim.Rules]:
    """Floors and ceilings per coarse lineage, for a file of this many genes."""
    # a targeted panel cannot show as many genes as a transcriptome
    most = round(_MOST_OF_REFERENCE * n_genes)
    umis = float(params.min_umis), float(max(params.min_umis, params.max_min_umis))
    rules = []
    for name in COARSE:
        share = _ANUCLEATE_GENES if name in ANUCLEATE else 1.0
        floor, ceiling = (
            share * min(value, most) for value in (params.min_genes, params.max_min_genes)
        )
        rules.append(
            lim.Rules(
                None if sample.quality.reads else umis,
                (floor, max(floor, ceiling)),
                (params.min_mt_limit, params.max_mt_limit),
                params.lower_mads,
                params.mt_mads,
                params.damage_mads,
                params.upper_mads,
            )
        )
    return rules


def _doublets(
    adata: AnnData, sample: Sample, keep: Bools, params: QCParams
) -> tuple[float | None, doublets.Doublets]:
    """Expected doublet rate, and the doublet scores of the kept cells."""
    score, called = np.full(keep.size, np.nan), np.zeros(keep.size, dtype=bool)
    rate = params.doublet_rate
    if rate is None and keep.any() and "chemistry" in adata.obs:
        cells = int(adata.obs["expected_cells"].iloc[0]) if "expected_cells" in adata.obs else None
        rate = doublets.expected_rate(
            cells or int(keep.sum()), chemistry=str(adata.obs["chemistry"].iloc[0])
        )
    if rate is None or sample.quality.reads:
        return rate, doublets.Doublets(score, called)
    of_kept = doublets.doublet_scores(
        sample.counts[np.flatnonzero(keep)], rate=rate, seed=params.seed, n_threads=blas_threads()
    )
    score[keep], called[keep] = of_kept.score, of_kept.called
    return rate, doublets.Doublets(score, called)


def _write(
    adata: AnnData,
    quality_: Quality,
    judged: Judged,
    keep: Bools,
    doublet: doublets.Doublets,
    back: Ints,
) -> None:
    percent, obs = quality_.percent, adata.obs
    obs[keys.TOTAL_COUNTS.key] = quality_.umis[back].astype(np.int64)
    obs[keys.N_GENES_BY_COUNTS.key] = quality_.genes[back].astype(np.int64)
    for slot, name in zip(
        (keys.PCT_COUNTS_MT, keys.PCT_COUNTS_RIBO, keys.PCT_COUNTS_HB, keys.PCT_COUNTS_PLATELET),
        SHARES,
        strict=True,
    ):
        obs[slot.key] = percent[name][back]
    obs[keys.PCT_OTHER_SPECIES.key] = quality_.other_species[back]
    names = np.array(COARSE, dtype=object)[judged.lineage[back]]
    obs[keys.COARSE_LINEAGE.key] = pd.Categorical(names, categories=list(COARSE))
    obs[keys.TUMOUR_EVIDENCE.key] = judged.rescued[back]
    obs[keys.DOUBLET_SCORE.key] = doublet.score[back]
    obs[keys.PREDICTED_DOUBLET.key] = doublet.called[back]
    obs[keys.AGGREGATE_CANDIDATE.key] = (doublet.called & judged.rescued)[back]
    for slot, words in ((keys.QC_FLAG, judged.reasons), (keys.QC_REMARK, judged.remarks)):
        obs[slot.key] = pd.Categorical(joined(words, n=keep.size)[back])
    obs[keys.KEEP.key] = keep[back]


def _not_run(
    sample: Sample,
    doublet: doublets.Doublets,
    rate: float | None,
    contamination: ambient.Contamination,
) -> list[NotRun]:
    if sample.barcodes.size == 0:
        return [{"what": "quality control", "reason": "the sample has no cell"}]
    missing: list[NotRun] = [
        {"what": f"{name} share", "reason": "the reference has no such gene"}
        for name, values in sample.quality.percent.items()
        if np.isnan(values).all()
    ]
    if contamination.reason:
        missing.append({"what": "ambient RNA", "reason": contamination.reason})
    if not np.isnan(doublet.score).all():
        return missing
    if sample.quality.reads:
        reason = "these are read counts, not molecules: wells have no doublet model"
    elif rate is None:
        reason = "the loading of its chemistry is not known: give chemistry or qc.doublet_rate"
    else:
        reason = f"fewer than {doublets.FEWEST_CELLS} kept cells, or no gene that varies"
    return [*missing, {"what": "doublet score", "reason": reason}]
