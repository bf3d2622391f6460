"""Names that are known to be genes, to tell genes from cells."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import pandas as pd

from ctcflow.formats.raw import Names

_ENSEMBL: Final = re.compile(r"(?:\w+?_+)?ENS[A-Z]{0,4}G\d{11}(?:\.\d+)?(?:_PAR_Y)?(?:-[UA])?$")
_GENOME_PREFIX: Final = re.compile(
    r"^(?:hg19|hg38|GRCh3[78](?:-\d{4}-[A-Z])?|human|homo_sapiens)(?:[_-]+|[.:](?=\w))",
    re.IGNORECASE,
)
_ID_WITHIN: Final = re.compile(r"(?<![A-Za-z0-9])ENSG\d{11}(?!\d)")
_ENTREZ: Final = re.compile(r"\|\d+$")
"""What TCGA writes behind a symbol: `EPCAM|4072`."""


class KnownGenes(NamedTuple):
    """Symbols and ids of known genes; every Ensembl id is one."""

    names: frozenset[str]

    @classmethod
    def of(cls, genes: pd.DataFrame | None) -> KnownGenes:
        """Take them from a table with `gene_id` and `symbol`; None for Ensembl ids only."""
        if genes is None:
            return cls(frozenset())
        return cls(frozenset([*genes["gene_id"].tolist(), *genes["symbol"].tolist()]))

    def has(self, name: str) -> bool:
        """Whether a name is a known gene, with or without the name of its genome."""
        bare = _ENTREZ.sub("", _GENOME_PREFIX.sub("", name))
        return bare in self.names or is_ensembl(bare) or _ID_WITHIN.search(bare) is not None

    def share(self, names: Names | list[str]) -> float:
        """Share of names that are known genes; 0 of none."""
        if len(names) == 0:
            return 0.0
        return sum(self.has(str(name)) for name in names) / len(names)


def is_ensembl(name: str) -> bool:
    """Whether a name is the Ensembl id of a gene, of any species, with or without version."""
    return _ENSEMBL.match(name) is not None


def ensembl_share(names: Names | list[str]) -> float:
    """Share of names that are Ensembl ids; 0 of none."""
    return sum(is_ensembl(str(name)) for name in names) / max(len(names), 1)
