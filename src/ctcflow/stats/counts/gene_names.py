"""Names of genes: symbols and Ensembl ids, and recognition of genes of another species."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Names = npt.NDArray[np.object_]

# Human prefixes only: in a xenograft, other prefixes mark the genes of the other species.
_PREFIX: Final = re.compile(r"^(?:hg19|hg38|GRCh3[78](?:-\d{4}-[A-Z])?)[_-]+", re.IGNORECASE)
_OTHER_SPECIES: Final = re.compile(
    r"^(?:mm(?:9|10|39)|GRCm3[89]|GRCr8|mRatBN7|rn[67]|Rnor)(?:\.\w+)?(?:-\d{4}-[A-Z])?[_-]+"
    r"|^ENS[A-Z]{3,4}G\d{11}",
    re.IGNORECASE,
)
_ENSEMBL: Final = re.compile(r"^(ENS[A-Z]{0,4}G\d{11})(?:\.\d+)?(?:_PAR_Y)?$")


class Resolved(NamedTuple):
    """Name and Ensembl id of each gene as found, and how many were changed in which way."""

    names: Names
    ids: Names
    recognised: npt.NDArray[np.bool_]
    counted: dict[str, int]


def of_other_species(names_in_file: Names, ids: Names | None) -> npt.NDArray[np.bool_]:
    """Genes that are not human; none if no gene at all is human, which is an error later."""
    foreign = np.array(
        [_OTHER_SPECIES.match(str(name)) is not None for name in names_in_file], dtype=bool
    )
    if ids is not None:
        foreign |= np.array([_OTHER_SPECIES.match(str(i)) is not None for i in ids], dtype=bool)
    return foreign if not foreign.all() else np.zeros(names_in_file.size, dtype=bool)


def resolve(names_in_file: Names, ids: Names | None, genes: pd.DataFrame) -> Resolved:
    """Give every gene its symbol and Ensembl id."""
    bare = np.array([_PREFIX.sub("", str(n)) for n in names_in_file], dtype=object)
    own_ids = np.array([_ensembl(n) for n in bare], dtype=object)
    from_file = own_ids
    if ids is not None:
        listed = [_ensembl(_PREFIX.sub("", str(i))) for i in ids]
        from_file = np.array([i or o for i, o in zip(listed, own_ids, strict=True)], dtype=object)
    symbol_of, id_of = _tables(genes)
    # A versioned id is replaced by the plain id even if the table lacks it: versions differ
    # between files.
    plain = np.where(own_ids != "", own_ids, bare)
    names = np.array(
        [symbol_of.get(i) or n for i, n in zip(from_file, plain, strict=True)], dtype=object
    )
    known_symbols = set(genes["symbol"])
    gene_ids = np.array(
        [i or id_of.get(n, "") for i, n in zip(from_file, names, strict=True)], dtype=object
    )
    recognised = np.array(
        [i in symbol_of or n in known_symbols for i, n in zip(gene_ids, names, strict=True)],
        dtype=bool,
    )
    counted = {
        "genes_recognised": int(recognised.sum()),
        "prefixes_removed": int((bare != names_in_file.astype(str)).sum()),
        "ids_to_symbols": int(((own_ids != "") & (names != plain)).sum()),
        "ids_unknown": int(((own_ids != "") & (names == plain)).sum()),
        "symbols_updated": int(((own_ids == "") & (names != plain)).sum()),
        "symbols_without_id": int((gene_ids == "").sum()),
    }
    return Resolved(names, gene_ids, recognised, counted)


def _ensembl(name: str) -> str:
    """Ensembl gene id without its version; "" for anything else."""
    match = _ENSEMBL.match(name)
    return match.group(1) if match else ""


def _tables(genes: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """Map id to symbol, and symbol to id where only one gene has the symbol."""
    unique = genes[~genes["symbol"].duplicated(keep=False)]
    return (
        dict(zip(genes["gene_id"], genes["symbol"], strict=True)),
        dict(zip(unique["symbol"], unique["gene_id"], strict=True)),
    )


def ids_of_groups(ids: Names, groups: npt.NDArray[np.intp], n_groups: int) -> Names:
    """First non-empty id among the genes that were summed."""
    chosen = np.full(n_groups, "", dtype=object)
    for group, gene_id in zip(groups[::-1], ids[::-1], strict=True):
        if gene_id:
            chosen[group] = gene_id
    return chosen
