"""Quality control of one sample: the lineage, limits, reasons and evidence of every droplet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.records.qc import SetAside
from ctcflow.stats.droplets import ambient_profile, metrics, raw_droplets
from ctcflow.stats.droplets.metrics import Quality
from ctcflow.stats.identity.coarse_lineage import COARSE, coarse
from ctcflow.stats.identity.leukocytes import leukocytes
from ctcflow.stats.identity.profiles import AMBIENT_SHARE, Profiles, profiles
from ctcflow.stats.panels.panel import prior_rates
from ctcflow.stats.quality import limits as lim
from ctcflow.stats.quality import rescue
from ctcflow.stats.quality.ledger import joined
from ctcflow.stats.quality.records import OUTSIDE
from ctcflow.stats.thresholds import MISSING_P, SHOWN_P

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Names = npt.NDArray[np.object_]

_FEWEST_LEUKOCYTES: Final = 50
EVEN: Final = "counts spread evenly over genes"
"""Reason to set a droplet aside: see `metrics.evenly_spread`. No tumour evidence rescues it."""
_OTHER_SPECIES_PCT: Final = 50.0
_MOSTLY_MITOCHONDRIA_PCT: Final = 90.0
_REMARKED_PCT: Final = {"haemoglobin": 5.0, "platelet": 1.0}


class Known(NamedTuple):
    """The reference tables that a sample is compared with."""

    members: frozenset[str]
    """Genes of any tumour panel."""
    handling: frozenset[str]
    """Genes that reflect the handling of cells, which are left out of the profiles."""
    background: pd.DataFrame
    reference: pd.DataFrame
    types: pd.DataFrame
    identity_null: pd.DataFrame


class Sample(NamedTuple):
    """The droplets given as cells, in the order of their barcodes."""

    counts: sp.csr_matrix
    genes: Names
    barcodes: Names
    quality: Quality


class Raw(NamedTuple):
    """Results from the unfiltered droplets."""

    beside: raw_droplets.Beside
    soup: Floats
    tested: raw_droplets.Tested


class Judged(NamedTuple):
    """Decisions on each given droplet, and the other droplets that are listed."""

    lineage: Ints
    limits: list[lim.Limits]
    reasons: dict[str, Bools]
    remarks: dict[str, Bools]
    rescued: Bools
    listed: list[SetAside]


def _profiles(sample: Sample, known: Known, floating: Floats | None) -> Profiles:
    return profiles(
        sample.genes,
        reference=known.reference,
        types=known.types,
        left_out=known.members | known.handling,
        ambient=floating,
        ambient_share=AMBIENT_SHARE,
    )


def _mean(sample: Sample) -> Floats:
    sums = np.asarray(sample.counts.sum(axis=0), dtype=np.float64).ravel()
    return sums / max(float(sums.sum()), 1.0)


def unfiltered(
    sample: Sample,
    droplets: sp.csr_matrix,
    barcodes: Names,
    *,
    known: Known,
    lower: int,
    fdr: float,
    seed: int,
) -> Raw | None:
    """Test given and other droplets against the ambient RNA.

    Parameters
    ----------
    droplets, barcodes
        (N, G) counts of all droplets of the library, and their barcodes.
    lower, fdr, seed
        See `raw_droplets.tested`.

    Returns
    -------
    None where no droplet has 1 to `lower` counts, so that there is no ambient RNA to compare with.
    """
    ambient = ambient_profile.ambient_profile(droplets, lower=lower)
    if ambient.profile.size == 0:
        return None
    beside = raw_droplets.beside(sample.barcodes, droplets, barcodes)
    result = raw_droplets.tested(
        sample.counts,
        beside.counts,
        ambient=ambient,
        reference=_profiles(sample, known, ambient.profile),
        lower=lower,
        fdr=fdr,
        seed=seed,
    )
    return Raw(beside, ambient.profile, result)


def judged(
    sample: Sample, raw: Raw | None, *, known: Known, rules: Sequence[lim.Rules], min_umis: float
) -> Judged:
    """Decide on every droplet.

    Parameters
    ----------
    raw
        Results from the unfiltered droplets; None without any.
    rules
        Floors, ceilings and factors of the limits of each coarse lineage.
    min_umis
        Fewest counts at which a missing blood identity protects a droplet from being set aside.
    """
    umis, genes, n = sample.quality.umis, sample.quality.genes, sample.barcodes.size
    reference = _profiles(sample, known, raw.soup if raw else None)
    inside = np.flatnonzero(raw.tested.outside) if raw else np.zeros(0, dtype=np.intp)
    empty = raw.tested.given_empty if raw else np.zeros(n, dtype=bool)
    foreign = sample.quality.other_species > _OTHER_SPECIES_PCT
    columns = np.flatnonzero(pd.Index(sample.genes).isin(known.members))
    prior = prior_rates(sample.genes[columns], known.background)
    floating = (raw.soup if raw else _mean(sample))[columns]
    shown, ambient_only = sample.counts[:, columns], empty | foreign
    seen = rescue.panel_evidence(
        shown, umis=umis, prior=prior, soup=floating, ambient_only=ambient_only
    )
    blood = leukocytes(
        sp.vstack([sample.counts, raw.beside.counts[inside]]).tocsr() if raw else sample.counts,
        reference=reference,
        suspect=np.append(seen.p <= SHOWN_P, np.zeros(inside.size, dtype=bool)),
        shipped_null=known.identity_null,
        fewest=_FEWEST_LEUKOCYTES,
    )
    p = blood.p[:n]
    lineage = coarse(
        reference.types, lineage=blood.lineage[:n], is_blood=(p > MISSING_P) & ~foreign
    )
    mt, even = sample.quality.percent["mitochondrial"], metrics.evenly_spread(sample.counts)
    usual = ~ambient_only & ~even & (lineage != COARSE.index("other"))
    limits = _limits(sample, lineage, usual=usual, rules=rules)
    reasons = lim.reasons(umis, genes, mt, lineage=lineage, limits=limits) | {
        "cell of another species": foreign,
        "looks like an empty droplet": empty,
    }
    reasons |= {EVEN: even} if even.any() else {}
    intact = mt < _MOSTLY_MITOCHONDRIA_PCT
    evidence = rescue.evidence(
        seen, p, umis=umis, readable=~ambient_only, intact=intact, min_umis=min_umis
    )
    evidence = evidence._replace(rescued=evidence.rescued & ~even)
    listed = _listed(sample, reasons, evidence, seen, p)
    listed += _outside(raw, columns, prior, inside, blood.p[n:]) if raw else []
    remarks = _remarks(sample, lineage, limits)
    return Judged(lineage, limits, reasons, remarks, evidence.rescued, listed)


def _remarks(sample: Sample, lineage: Ints, limits: Sequence[lim.Limits]) -> dict[str, Bools]:
    """Unusual properties that are no reason to set a droplet aside."""
    quality = sample.quality
    many = lim.remarks(quality.umis, quality.genes, lineage=lineage, limits=limits)
    return many | {
        f"{name} counts": quality.percent[name] > share for name, share in _REMARKED_PCT.items()
    }


def _listed(
    sample: Sample,
    reasons: Mapping[str, Bools],
    evidence: rescue.Evidence,
    seen: rescue.Panel,
    p: Floats,
) -> list[SetAside]:
    """Given droplets that are set aside with tumour evidence."""
    aside = np.logical_or.reduce(list(reasons.values())) & ~evidence.rescued
    return rescue.listed(
        sample.barcodes,
        joined(reasons, n=p.size),
        rows=np.flatnonzero(aside & evidence.listed),
        panel_test=seen,
        p_identity=p,
    )


def _limits(
    sample: Sample, lineage: Ints, *, usual: Bools, rules: Sequence[lim.Rules]
) -> list[lim.Limits]:
    """Limits of each coarse lineage, from its usual droplets."""
    return lim.limits(
        sample.quality.umis,
        sample.quality.genes,
        sample.quality.percent["mitochondrial"],
        measured=[usual & (lineage == code) for code in range(len(COARSE))],
        rules=rules,
    )


def _outside(
    raw: Raw, columns: Ints, prior: Floats, inside: Ints, p_inside: Floats
) -> list[SetAside]:
    """Droplets outside the given matrix that may hold a tumour cell."""
    p = np.full(raw.beside.barcodes.size, np.nan)
    p[inside] = p_inside
    seen, rows = rescue.outside(
        raw.beside.counts[:, columns],
        umis=np.asarray(raw.beside.counts.sum(axis=1), dtype=np.float64).ravel(),
        prior=prior,
        soup=raw.soup[columns],
        p_identity=p,
    )
    why = np.full(p.size, OUTSIDE, dtype=object)
    return rescue.listed(
        raw.beside.barcodes, why, rows=np.flatnonzero(rows), panel_test=seen, p_identity=p
    )
