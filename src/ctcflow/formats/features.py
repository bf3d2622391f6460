"""What each feature of a matrix measures, known by the words that common tools write."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Names = npt.NDArray[np.object_]
Kind = Literal["gene", "protein", "hashtag", "other"]

GENE_EXPRESSION: Final = "Gene Expression"
"""Feature type of genes in files of Cell Ranger."""

_WORDS: Final[dict[Kind, tuple[str, ...]]] = {
    "gene": (
        "gene expression",  # Cell Ranger
        *("gex", "rna", "gene", "genes", "mrna"),  # muon, NeurIPS 2021, BD
    ),
    "protein": (
        "antibody capture",  # Cell Ranger
        *("adt", "prot", "protein", "proteins", "antibody", "antibodies"),  # Seurat, muon, scvi
        "protein expression",  # scvi's obsm
        *("abseq", "pabo"),  # BD
    ),
    "hashtag": (
        "multiplexing capture",  # Cell Ranger: cell multiplexing oligos
        *("hto", "hashtag", "hashtags", "hashing", "cmo"),  # Seurat, hashsolo, 10x
        *("sample tag", "sampletag"),  # BD
    ),
    "other": (
        *("antigen capture", "crispr guide capture", "custom", "peaks"),  # Cell Ranger
        *("vdj", "vdj b", "vdj t", "vdj t gd"),
        *("atac", "crispr", "guide", "guides"),
    ),
}
"""Words for each kind, in lower case with blanks. They are names of feature types, of modalities of
a MuData, and of tables in the obsm of an AnnData."""

_KINDS: Final[dict[str, Kind]] = {word: kind for kind, words in _WORDS.items() for word in words}

_UNTYPED: Final = frozenset({"", "nan", "none", "na", "<na>", "null"})
"""Ways to write a missing type."""

# Hashtags are antibodies, and Cell Ranger may label them only as such: recognise them by name.
_HASHTAG: Final = re.compile(
    r"hash[ _-]?tag"  # Hashtag_1, TotalSeqC_Hashtag2, anti-human Hashtag 3
    r"|(?<![a-z])hto[a-z]?(?![a-z])"  # HTO_A, HTO28_5P, HTOB
    r"|(?<![a-z])sample[ _-]?tag"  # BD: SampleTag01_hs
    r"|(?<![a-z])cmo3\d\d(?!\d)"  # 10x: CMO301 to CMO312
    # BioLegend's numbers of hashtags, TotalSeq-C0251: human 1 to 10, 12 and 11, mouse 1 to 10
    r"|(?<![a-z0-9])(?:totalseq[ _-]?)?[abc]-?0(?:25[1-9]|260|262|296|30[1-9]|310)(?!\d)",
    re.IGNORECASE,
)
_ENSEMBL: Final = re.compile(r"ENSG\d{11}(?:\.\d+)?")


def kind_of(word: str) -> Kind | None:
    """Kind named by a feature type, a modality or a table of obsm; None for unknown words."""
    return _KINDS.get(_plain(word))


def is_hashtag(*names: str) -> bool:
    """Whether an antibody is a hashtag, judged by its name and its id."""
    return any(_HASHTAG.search(name) is not None for name in names)


def kinds_of_features(
    names: Names, ids: Names, types: Names | None, genes: Collection[str]
) -> Names:
    """Kind of each feature of a matrix.

    Parameters
    ----------
    names, ids, types : (n_features,)
        As in the file; if there are no types, all features are genes.
    genes
        Symbols and ids of known genes: a feature without a type is a gene if it is one of them.

    Returns
    -------
    (n_features,) `Kind` of each. All are genes where the types do not say what is measured (but,
    for example, the biotype of a gene). If only some types are known words, the rest are `other`.
    """
    if types is None:
        return np.full(names.size, "gene", dtype=object)
    codes, words = pd.factorize(types.astype(str))
    plain = [_plain(word) for word in words]
    if not _is_about_kinds(set(plain)):
        return np.full(names.size, "gene", dtype=object)
    kinds: Names = np.array([_KINDS.get(word, "other") for word in plain], dtype=object)[codes]
    for at in np.flatnonzero(kinds == "protein"):
        if is_hashtag(str(names[at]), str(ids[at])):
            kinds[at] = "hashtag"
    untyped = np.array([word in _UNTYPED for word in plain], dtype=bool)[codes]
    for at in np.flatnonzero(untyped):
        if _is_gene(str(names[at]), str(ids[at]), genes):
            kinds[at] = "gene"
    return kinds


def _is_about_kinds(words: set[str]) -> bool:
    """Whether types say what is measured; biotypes match at most one word, such as `gene`."""
    kinds = {_KINDS[word] for word in words if word in _KINDS}
    return _plain(GENE_EXPRESSION) in words or bool(kinds - {"gene"})


def _is_gene(name: str, own_id: str, genes: Collection[str]) -> bool:
    return name in genes or any(_ENSEMBL.fullmatch(each) is not None for each in (name, own_id))


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]+", " ", word).strip().lower()
