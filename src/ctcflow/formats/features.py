"""What each feature of a matrix measures, known by the words that common tools write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.errors import CtcflowError

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

_PATTERNS: Final[tuple[tuple[Kind, str, str], ...]] = (
    (
        "other",
        "reads without a gene",
        r"(X_?)?__\w+|--\w[\w-]*"  # HTSeq: __no_feature, __ambiguous ...; as R or Seurat change it
        r"|N_(unmapped|multimapping|noFeature|ambiguous)"  # STAR
        r"|no_?feature|ambiguous|too_low_aqual|not_aligned|alignment_not_unique|unmapped"
        r"|unassigned(_\w+)?|\*|intergenic|multi_?mapped|multimapping",
    ),
    ("other", "spike-in", r"ERCC[-._]?\d{5}(\.\d+)?|SIRV\w*|Lexogen\w*|R[12]_\d+_\d+"),
    (
        "other",
        "sum or measure of a cell",
        r"(grand_?)?totals?([_ .-]?(counts?|reads|umis?|genes))?|sums?"
        r"|n[_ ]?(counts?|genes?|umis?|reads)|n(count|feature)_\w+|log(10|1p)?_?(total|n)_\w+"
        r"|(percent|pct)[._ ]\w+([._ ]\w+)*|(lib(rary)?|size)[_ .]?(size|factors?)"
        r"|s_score|g2m_score|doublet_score",
    ),
    (
        "other",
        "description of a cell",
        r".*\(\s*\w+\s*=.*|.*[=?].*|barcode|cell_?(type|id|name)",
    ),
    (
        "protein",
        "Antibody Capture",
        r"(adt|ab|abseq|abc|prot|protein|antibody|cite|totalseq-?[abc]?)[_:.-].+"
        r"|.+[|_.:-](adt|totalseq-?[abc]?|pabo|protein|prot|antibody|abseq)"
        r"|.+\|(AHS|AMM)\d+(\|.*)?"  # BD AbSeq
        r"|anti[- _](human|mouse).*"
        r"|(Hu|Ms|HuMs)[._]CD.+|.+_AB",  # BioLegend's names, as 10x's public files have them
    ),
)
"""Names of rows that are not genes, as tools write them into one table with genes. The kind, the
feature type in words, and a pattern of the whole name, in any case."""
_NOT_GENES: Final = tuple(
    (kind, words, re.compile(pattern, re.IGNORECASE)) for kind, words, pattern in _PATTERNS
)
_SHARE_OF_GENES: Final = 0.5
_SHARE_OF_OTHERS: Final = 0.2
_FEWEST: Final = 3
_BIOTYPE: Final = re.compile(
    r"coding|rna|pseudogene|\b(ig|tr)[_ ]|gene|transcript|sense|intron|tec"
)
"""What biotypes of Ensembl contain."""


def kind_of(word: str) -> Kind | None:
    """Kind named by a feature type, a modality or a table of obsm; None for unknown words."""
    return _KINDS.get(_plain(word))


def is_hashtag(*names: str) -> bool:
    """Whether an antibody is a hashtag, judged by its name and its id."""
    return any(_HASHTAG.search(name) is not None for name in names)


class Told(NamedTuple):
    """What each feature measures."""

    kinds: Names
    """(n_features,) `Kind` of each."""
    types: Names
    """(n_features,) feature type of each, as in the file or as its name says."""


def kinds_of_features(
    names: Names, ids: Names, types: Names | None, genes: Collection[str]
) -> Told:
    """Kind of each feature of a matrix, by its type and its name.

    Parameters
    ----------
    names, ids, types : (n_features,)
        As in the file; if there are no types, all features are genes.
    genes
        Symbols and ids of known genes: a feature without a type is a gene if it is one of them.

    Returns
    -------
    Kind and type of each. All are genes where the types do not say what is measured (but, for
    example, the biotype of a gene). If only some types are known words, the rest are `other`.
    Among the genes, a name that is no gene and that a tool is known to write for something else
    (`__no_feature`, `ERCC-00002`, `Total`, `ADT_CD3`) is what that tool means.

    Raises
    ------
    CtcflowError
        The types are unknown words of which some stand for genes and others do not.
    """
    known = np.array(
        [_is_gene(str(n), str(i), genes) for n, i in zip(names, ids, strict=True)], dtype=bool
    )
    kinds = _kinds_by_type(names, ids, types, known)
    told: Names = np.full(names.size, GENE_EXPRESSION, dtype=object) if types is None else types
    told = told.copy()
    for at in np.flatnonzero((kinds == "gene") & ~known):
        if (other := _not_a_gene(str(names[at]))) is not None:
            kinds[at], told[at] = other
    return Told(kinds, told)


def _not_a_gene(name: str) -> tuple[Kind, str] | None:
    for kind, words, pattern in _NOT_GENES:
        if pattern.fullmatch(name):
            return ("hashtag", words) if kind == "protein" and is_hashtag(name) else (kind, words)
    if is_hashtag(name):
        return "hashtag", "Multiplexing Capture"
    return None


def _kinds_by_type(
    names: Names, ids: Names, types: Names | None, known: npt.NDArray[np.bool_]
) -> Names:
    if types is None:
        return np.full(names.size, "gene", dtype=object)
    codes, words = pd.factorize(types.astype(str))
    plain = [_plain(word) for word in words]
    _refuse_unknown_words(words, plain, codes, known)
    if not _is_about_kinds(set(plain)):
        return np.full(names.size, "gene", dtype=object)
    found: Names = np.array([_KINDS.get(word, "other") for word in plain], dtype=object)[codes]
    for at in np.flatnonzero(found == "protein"):
        if is_hashtag(str(names[at]), str(ids[at])):
            found[at] = "hashtag"
    untyped = np.array([word in _UNTYPED for word in plain], dtype=bool)[codes]
    found[untyped & known] = "gene"
    return found


def _refuse_unknown_words(
    words: Iterable[object],
    plain: Sequence[str],
    codes: npt.NDArray[np.intp],
    known: npt.NDArray[np.bool_],
) -> None:
    """Refuse types that nobody knows, if genes and other things stand under them."""
    unknown = [k for k, word in enumerate(plain) if word not in _KINDS and word not in _UNTYPED]
    if not known.any() or all(_BIOTYPE.search(plain[k]) for k in unknown):
        return
    share = {k: float(known[codes == k].mean()) for k in range(len(plain))}
    size = np.bincount(codes, minlength=len(plain))
    of_genes = [k for k in unknown if share[k] >= _SHARE_OF_GENES and size[k] >= _FEWEST]
    of_others = [k for k in unknown if share[k] <= _SHARE_OF_OTHERS and size[k] >= _FEWEST]
    has_words_for_genes = any(_KINDS.get(word) == "gene" for word in plain)
    if (of_genes and has_words_for_genes) or (of_genes and of_others):
        shown = ", ".join(f"`{word}` {size[k]}" for k, word in enumerate(words))
        raise CtcflowError(
            f"the feature types are not all known ({shown}), and genes stand under unknown ones:"
            f" write `{GENE_EXPRESSION}`, `Antibody Capture` or `Multiplexing Capture`"
        )


def _is_about_kinds(words: set[str]) -> bool:
    """Whether types say what is measured; biotypes match at most one word, such as `gene`."""
    known = {_KINDS[word] for word in words if word in _KINDS}
    return _plain(GENE_EXPRESSION) in words or bool(known - {"gene"})


def _is_gene(name: str, own_id: str, genes: Collection[str]) -> bool:
    return (
        name in genes
        or _ENSEMBL.fullmatch(own_id) is not None
        or _ENSEMBL.fullmatch(name) is not None
    )


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]+", " ", word).strip().lower()
