"""Donors and batches: random differences between persons, tumour clones and laboratory days."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ctcflow.simulate.blood import Biology
from ctcflow.simulate.profiles import BLOOD, KINDS, NAMES, PHENOTYPES, Species

Floats = npt.NDArray[np.float64]

_GAIN: Final = 1.5
"""Dosage of three copies of an arm instead of two."""
_LOSS: Final = 0.5
_MIN_ARM_GENES: Final = 20
"""Arms with fewer genes are never gained or lost (genes)."""
_DONOR_SD: Final = 0.1
_TUMOUR_SD: Final = 0.3
_BATCH_SD: Final = 0.25
_DEPTH_SD: Final = 0.15
_COMPOSITION_SD: Final = 0.2
"""These are standard deviations of natural logarithms: of genes, of depth, of shares of types."""
_PHENOTYPE_SHARES: Final = (0.5, 0.25, 0.15, 0.1)
"""In the order of `profiles.PHENOTYPES`."""


class Donor(NamedTuple):
    """One person."""

    name: str
    patient: bool
    effect: Floats
    """Factor on the rates of all cells, shape (genes,)."""
    tumour: Floats
    """Further factor on the rates of tumour cells, copy number included, shape (genes,)."""
    arms: dict[str, str]
    """`gain` or `loss` by chromosome arm; empty for healthy donors."""
    blood: Floats
    """Shares of `profiles.BLOOD`."""
    phenotypes: Floats
    """Shares of `profiles.PHENOTYPES`."""


class Batch(NamedTuple):
    """One day in the laboratory."""

    effect: Floats
    """Factor on the rates of all cells, shape (genes,)."""
    depth: float
    """Factor on the counts of all cells."""


def draw_donor(name: str, patient: bool, kinds: Species, seed: np.random.SeedSequence) -> Donor:
    """Draw a person: sex, expression, blood composition and, in a patient, the clone."""
    person, clone = (np.random.default_rng(child) for child in seed.spawn(2))
    effect = _log_normal(_DONOR_SD, len(kinds.genes), person)
    symbols = kinds.genes["symbol"].to_numpy(dtype=object)
    # Patients have breast cancer and are female; healthy donors are of both sexes.
    female = bool(person.random() < 0.5) or patient
    on_y = kinds.genes["chromosome"].astype(str).to_numpy(dtype=object) == "Y"
    effect[on_y if female else symbols == "XIST"] = 0.0
    share = np.array([KINDS[kind].share for kind in BLOOD])
    blood = share * _log_normal(_COMPOSITION_SD, share.size, person)
    phenotypes = np.array(_PHENOTYPE_SHARES) * _log_normal(0.5, len(PHENOTYPES), clone)
    arms = _draw_arms(kinds, clone) if patient else {}
    tumour = _log_normal(_TUMOUR_SD, len(kinds.genes), clone)
    arm = kinds.genes["chromosome"].astype(str) + kinds.genes["arm"].astype(str)
    copies = {"gain": _GAIN, "loss": _LOSS}
    tumour *= arm.map({k: copies[change] for k, change in arms.items()}).fillna(1.0).to_numpy()
    return Donor(
        name, patient, effect, tumour, arms, blood / blood.sum(), phenotypes / phenotypes.sum()
    )


def _draw_arms(kinds: Species, rng: np.random.Generator) -> dict[str, str]:
    """Choose 4 to 7 autosomal arms that are gained and as many that are lost."""
    genes = kinds.genes[kinds.genes["chromosome"].astype(str).str.fullmatch(r"\d+")]
    sizes = (genes["chromosome"].astype(str) + genes["arm"].astype(str)).value_counts()
    arms = np.sort(sizes.index[sizes >= _MIN_ARM_GENES].to_numpy(dtype=object))
    rng.shuffle(arms)
    n_gains, n_losses = rng.integers(4, 8, 2)
    changes = ["gain"] * int(n_gains) + ["loss"] * int(n_losses)
    return dict(zip(arms.tolist(), changes, strict=False))


def draw_batch(kinds: Species, seed: np.random.SeedSequence) -> Batch:
    """Draw the gene-wise and the depth effect of a batch."""
    rng = np.random.default_rng(seed)
    effect = _log_normal(_BATCH_SD, len(kinds.genes), rng)
    return Batch(effect, float(np.exp(_DEPTH_SD * rng.standard_normal())))


def biology(kinds: Species, donor: Donor, batch: Batch) -> Biology:
    """Profiles of all kinds of cells of a donor, with the effects of a batch."""
    effect = donor.effect * batch.effect
    nuclear = kinds.nuclear * effect
    nuclear[[NAMES.index(name) for name in PHENOTYPES]] *= donor.tumour
    mitochondrial = kinds.mitochondrial * effect
    return Biology(
        nuclear / nuclear.sum(axis=1, keepdims=True),
        mitochondrial / max(mitochondrial.sum(), 1e-12),
        donor.blood,
        donor.phenotypes,
    )


def _log_normal(sd: float, n: int, rng: np.random.Generator) -> Floats:
    """Factors with mean 1."""
    return np.exp(sd * rng.standard_normal(n) - 0.5 * sd**2)
