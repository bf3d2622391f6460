"""Write the reference of normal cells: `normal_profiles.tsv.gz`, `normal_types.tsv`.

`python -m benchmarks.calling.normal_profiles ../shared/data/types resources/genes`: author profiles
of one type that lie near each other become one. For "leave one tissue out", `condensed` makes the
same tables without some tissues.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.calling.normal_types import kind
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ctcflow.files import io

Floats = npt.NDArray[np.float64]

FILES = {
    "profiles_cpm_Lung_Control_Adams.h5ad": "Lung_Control_Adams",
    "profiles_cpm_blood_marrow_spleen_balf.h5ad": "",
    "profiles_cpm_gut_airway_prostate_skin.h5ad": "",
    "profiles_cpm_lung_liver_pancreas_heart_muscle_kidney.h5ad": "",
    "profiles_cpm_placenta_decidua_testis_brain_retina.h5ad": "",
    "profiles_pancreas_inDrop_Baron.h5ad": "Pancreas_Baron",
}
"""File, and the tissue of all of its profiles where it has no column of tissues."""
NO_IDENTITY = r"^(?:MT-|RP[SL]\d|RPLP|RPSA|HB[ABDEGMQZ]\d?$|MALAT1$|NEAT1$|XIST$)"
"""Genes that tell how well a cell was kept, who the donor is, or that red cells were near."""
FLOOR = 5.0
"""Counts per million that are added before profiles are compared, as
`stats.identity.profiles` does."""
NEAR = 0.5
"""Profiles of a type that differ by less are one (nats per count, both ways averaged)."""
_CYCLING = ("CD4 T", "CD8 T", "NK", "B", "Monocyte", "Dendritic", "Plasma", "Progenitor")
_CYCLING_CELL = "proliferating.decidual.natural.killer.cell"
_RESTING_CELL = "decidual.natural.killer.cell"


def author_profiles(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All author profiles (types x genes, counts per million), and what each is."""
    rates, rows = [], []
    for name, tissue in FILES.items():
        adata = anndata.read_h5ad(folder / name)
        tissues = [tissue] * adata.n_obs if tissue else adata.obs["tissue"].astype(str)
        for own_tissue, label in zip(tissues, adata.obs["label"].astype(str), strict=True):
            rows.append((own_tissue, label, *kind(own_tissue, label)))
        own_unit = adata.to_df().astype(np.float64).reset_index(drop=True)
        rates.append(own_unit.mul(1e6 / own_unit.sum(axis=1), axis=0))
    kinds = pd.DataFrame(rows, columns=["tissue", "label", "type", "group", "left_out"])
    together = pd.concat(rates, join="inner", ignore_index=True)
    return together.loc[:, ~together.columns.str.match(NO_IDENTITY)], kinds


def condensed(
    rates: pd.DataFrame, kinds: pd.DataFrame, without: Sequence[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Profiles, and the type, group and author types of each.

    Parameters
    ----------
    rates, kinds
        From `author_profiles`.
    without
        Tissues that take no part.
    """
    kinds = kinds.copy()
    used = (kinds["left_out"] == "") & ~kinds["tissue"].isin(list(without))
    kinds["profile"] = ""
    columns: dict[str, Floats] = {}
    types: list[tuple[str, str, str]] = []
    for (group, type_), rows in kinds[used].groupby(["group", "type"], sort=True):
        values = rates.loc[rows.index].to_numpy()
        part = near_each_other(values)
        for number in range(1, part.max() + 1):
            name = f"{type_} {number}"
            members = rows.index[part == number]
            by_tissue = rates.loc[members].groupby(kinds.loc[members, "tissue"]).mean()
            columns[name] = by_tissue.to_numpy().mean(axis=0)
            kinds.loc[members, "profile"] = name
            types.append((name, str(type_), str(group)))
    for name, values in _cycling(rates, kinds, used).items():
        columns[f"{name} cycling"] = values
        types.append(
            (f"{name} cycling", name, str(kinds.loc[kinds["type"] == name, "group"].iloc[0]))
        )
    table = pd.DataFrame(columns, index=rates.columns)
    profiles = _two_digits(table).rename_axis("symbol").reset_index()
    described = pd.DataFrame(types, columns=["profile", "type", "group"])
    return profiles, described.assign(
        sources=[_sources(name, kinds) for name in described["profile"]]
    )


def _sources(profile: str, kinds: pd.DataFrame) -> str:
    """Author types of a profile, as `tissue: label`."""
    if profile.endswith("cycling"):
        return f"{profile.removesuffix(' cycling')}, dividing as decidual natural killer cells do"
    members = kinds[kinds["profile"] == profile]
    return "; ".join(members["tissue"] + ": " + members["label"])


def _two_digits(table: pd.DataFrame) -> pd.DataFrame:
    """Rates as they are shipped; below one count in a million is nothing."""
    values = table.to_numpy()
    unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1.0))) - 1)
    shown = np.where(values >= 1.0, np.rint(values / unit) * unit, 0.0)
    return pd.DataFrame(shown.round(1), index=table.index, columns=table.columns)


def near_each_other(values: Floats) -> npt.NDArray[np.int64]:
    """Number, from 1, of the profile that each author profile becomes part of."""
    if values.shape[0] == 1:
        return np.ones(1, dtype=np.int64)
    share = values + FLOOR
    share /= share.sum(axis=1, keepdims=True)
    log_share = np.log(share)
    cross = -(share @ log_share.T)
    excess = cross - np.diag(cross)[:, None]
    apart = (excess + excess.T) / 2
    tree = linkage(squareform(apart, checks=False), "average")
    return np.asarray(fcluster(tree, NEAR, "distance"), dtype=np.int64)


def _cycling(rates: pd.DataFrame, kinds: pd.DataFrame, used: pd.Series) -> dict[str, Floats]:
    """Dividing leukocytes: a type, times what dividing NK cells have over resting ones."""
    dividing = used & (kinds["label"] == _CYCLING_CELL)
    resting = used & kinds["label"].str.startswith(_RESTING_CELL)
    if not (dividing.any() and resting.any()):
        return {}
    ratio = _shares(rates[dividing]).mean(axis=0) / _geometric_mean(_shares(rates[resting]))
    dividing_profiles = {}
    for name in _CYCLING:
        resting_profile = _geometric_mean(
            _shares(rates[used & ~dividing & (kinds["type"] == name)])
        )
        share = resting_profile * np.maximum(ratio, 1.0)
        dividing_profiles[name] = np.maximum(share / share.sum() * 1e6 - FLOOR, 0.0)
    return dividing_profiles


def _shares(rates: pd.DataFrame) -> Floats:
    values = rates.to_numpy() + FLOOR
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def _geometric_mean(shares: Floats) -> Floats:
    return np.asarray(np.exp(np.log(shares).mean(axis=0)))


def main(folder: Path, out: Path) -> None:
    profiles, types = condensed(*author_profiles(folder))
    shown = profiles.astype(object)
    for column in profiles.columns[1:]:
        shown[column] = [f"{value:g}" for value in profiles[column]]
    io.write_table(out / "normal_profiles.tsv.gz", shown)
    io.write_table(out / "normal_types.tsv", types)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
