"""Profiles of pairs of blood cells in one droplet, and one mean profile for each blood type."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ctcflow.stats.identity.profiles import Profiles

Floats = npt.NDArray[np.float64]

TOGETHER: Final = (
    ("CD4 T", "Monocyte"),
    ("CD8 T", "Monocyte"),
    ("B", "Monocyte"),
    ("NK", "Monocyte"),
    ("CD4 T", "B"),
    ("CD8 T", "B"),
    ("NK", "B"),
    ("B", "Plasma"),
    ("CD4 T", "Platelet"),
    ("CD8 T", "Platelet"),
    ("NK", "Platelet"),
    ("B", "Platelet"),
    ("Monocyte", "Platelet"),
    ("Dendritic", "Monocyte"),
    ("Dendritic", "B"),
    ("CD8 T", "NK"),
)
"""Pairs of blood types that are modelled as a mixture, half of each: two cells in one droplet, or a
cell between two types."""


def of_each_type(reference: Profiles) -> tuple[tuple[str, ...], Floats]:
    """Names of the blood types, and the mean share of counts of their profiles (g, types)."""
    names = tuple(
        dict.fromkeys(
            name for name, blood in zip(reference.types, reference.is_blood, strict=True) if blood
        )
    )
    types = np.array(reference.types, dtype=object)
    means = [
        np.exp(reference.log_rates[:, (types == name) & reference.is_blood]).mean(axis=1)
        for name in names
    ]
    return names, np.column_stack(means)


def with_two_at_once(reference: Profiles) -> Profiles:
    """Append the pairs of `TOGETHER` to the types; a pair has the null group of its first type.

    Pairs with a type that is missing from the reference are not added.
    """
    names, means = of_each_type(reference)
    types = np.array(reference.types, dtype=object)
    pairs = [
        (names.index(one), names.index(two))
        for one, two in TOGETHER
        if one in names and two in names
    ]
    if not pairs:
        return reference
    first, second = np.array(pairs, dtype=np.intp).T
    both = np.log((means[:, first] + means[:, second]) / 2)
    seen = np.array([np.exp(reference.log_seen[types == name]).mean() for name in names])
    groups = [int(reference.group[reference.types.index(names[one])]) for one in first]
    return reference._replace(
        log_rates=np.hstack([reference.log_rates, both]),
        log_seen=np.append(reference.log_seen, np.log((seen[first] + seen[second]) / 2)),
        types=(*reference.types, *(f"{names[one]} and {names[two]}" for one, two in pairs)),
        is_blood=np.append(reference.is_blood, np.ones(len(pairs), dtype=bool)),
        group=np.append(reference.group, np.array(groups, dtype=np.intp)),
    )
