"""Names of genes: symbols and Ensembl ids, and recognition of genes of another species."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.records.ingest import OfNames

Names = npt.NDArray[np.object_]

# Human prefixes only: in a xenograft, other prefixes mark the genes of the other species.
_PREFIX: Final = re.compile(
    r"^(?:hg19|hg38|GRCh3[78](?:-\d{4}-[A-Z])?|human|homo_sapiens)(?:[_-]+|[.:](?=\w))",
    re.IGNORECASE,
)
_OTHER_SPECIES: Final = re.compile(
    r"^(?:mm(?:9|10|39)|GRCm3[89]|GRCr8|mRatBN7|rn[67]|Rnor)(?:\.\w+)?(?:-\d{4}-[A-Z])?[_.:-]+"
    r"|^(?:mouse|mus_musculus|rat|rattus_norvegicus)[_:.-]+"
    r"|^ENS[A-Z]{3,4}G\d{11}",
    re.IGNORECASE,
)
_MOUSE_FORM: Final = re.compile(r"^(?:Gm\d+|\d{7}[A-Z]\d\d(?:Rik)|(?:mt|H2)-[A-Z]\w*)$")
"""Names that only mouse genes have: predicted genes, RIKEN clones, mitochondrial genes, H2."""
_ENSEMBL: Final = re.compile(r"^(ENS[A-Z]{0,4}G\d{11})(?:\.\d+)?(?:_PAR_Y)?$")
_WITHIN: Final = re.compile(r"(?<![A-Za-z0-9])ENSG\d{11}(?!\d)")
_SPLICING: Final = re.compile(r"-[SUA]$")
"""How alevin-fry marks spliced, unspliced and ambiguous counts of a gene."""
_FEWEST_MARKED: Final = 0.25
"""Smallest share of names with such a mark in a file of alevin-fry; two thirds have one."""
_FEWEST_OUT_OF_STEP: Final = 3
_KEPT: Final = 2**17
"""Names kept in memory: the ids and names of one file, which several checks ask for."""
_ENTREZ: Final = re.compile(r"\|\d+$")
"""What TCGA writes behind a symbol: `EPCAM|4072`."""
_REPORTERS: Final = frozenset({"RFP", "SEX", "CELL", "TYPE"})
"""Aliases that, in a table of counts, mean a reporter gene or a description of the cell."""
_MITOCHONDRIAL: Final = re.compile(r"^(?:MT|chrM)[-_.:](?=\w)", re.IGNORECASE)
_READING_FRAME: Final = re.compile(r"^(C(?:\d+|X|Y))ORF(\d+\w*)$")


class Resolved(NamedTuple):
    """Name and Ensembl id of each gene as found, and how many were changed in which way."""

    names: Names
    ids: Names
    recognised: npt.NDArray[np.bool_]
    counted: OfNames
    mended: dict[str, list[tuple[str, str]]]
    """What was wrong with names, in words; the names as found and as mended."""


def of_other_species(
    found: Names, ids: Names | None, symbols: Collection[str]
) -> npt.NDArray[np.bool_]:
    """Genes that are not human; none if no gene at all is human, which is an error later.

    Parameters
    ----------
    found, ids : (G,)
        As in the file.
    symbols
        Known human symbols. A name like `Actb` is not one, and in capitals it is: a mouse gene.
    """
    foreign = np.array([_OTHER_SPECIES.match(str(name)) is not None for name in found], dtype=bool)
    by_case = np.array([_looks_like_mouse(str(name), symbols) for name in found], dtype=bool)
    if ids is not None:
        foreign |= np.array([_OTHER_SPECIES.match(str(i)) is not None for i in ids], dtype=bool)
        by_case &= np.array([not str(i).startswith("ENSG") for i in ids], dtype=bool)
    if not lost_capitals(found[by_case], found):
        foreign |= by_case
    return foreign if not foreign.all() else np.zeros(found.size, dtype=bool)


def lost_capitals(by_case: Names, found: Names) -> bool:
    """Whether names in the case of mouse genes are human ones that were written so.

    A file with genes of mouse and human has both forms of most of them, `Actb` and `ACTB`.
    """
    there = set(found)
    both = sum(str(name).upper() in there for name in by_case)
    return 2 * both < by_case.size


def in_mouse_case(found: Names, ids: Names | None, symbols: Collection[str]) -> int:
    """Number of human symbols that are written in the case of mouse genes, and not so otherwise."""
    by_case = np.array([_looks_like_mouse(str(name), symbols) for name in found], dtype=bool)
    if ids is not None:
        by_case &= np.array([_ensembl(str(i)) == "" for i in ids], dtype=bool)
    return int(by_case.sum()) if lost_capitals(found[by_case], found) else 0


def share_of_human_ids(ids: Names) -> float:
    """Share of the Ensembl ids that are human; 1 where there are none."""
    known = [i for i in (_bare_id(i) for i in ids) if i]
    return sum(i.startswith("ENSG") for i in known) / len(known) if known else 1.0


def _looks_like_mouse(name: str, symbols: Collection[str]) -> bool:
    if name in symbols or name == name.upper():
        return False
    in_case = name[:1].isupper() and name[1:] == name[1:].lower() and name.upper() in symbols
    return in_case or _MOUSE_FORM.match(name) is not None


def agreement(found: Names, ids: Names, genes: pd.DataFrame) -> tuple[int, int]:
    """Hold the ids of genes against their names.

    Parameters
    ----------
    found, ids : (G,)
        Names and ids as in the file.
    genes
        Columns `gene_id` and `symbol`.

    Returns
    -------
    n_agree, n_pairs
        Of the genes whose id and whose name are both known: how many name the same gene, and how
        many there are.
    """
    symbol_of = _symbol_of(genes)
    symbols = set(symbol_of.values())
    pairs = []
    for listed, name in zip((_bare_id(i) for i in ids), (_bare(n) for n in found), strict=True):
        if listed and (of_name := _ensembl(name)):
            pairs.append((listed, of_name))
        elif listed in symbol_of and name in symbols:
            pairs.append((symbol_of[listed], name))
    return sum(of_id == name for of_id, name in pairs), len(pairs)


def out_of_step(found: Names, ids: Names, genes: pd.DataFrame) -> int:
    """First gene whose name belongs to the id of the line above or below it; -1 for none.

    Parameters
    ----------
    found, ids : (G,)
        Names and ids as in the file. Fewer than three such genes may be chance.
    genes
        Columns `gene_id` and `symbol`.
    """
    symbol_of = _symbol_of(genes)
    of_id = np.array([symbol_of.get(_bare_id(i), "") for i in ids], dtype=object)
    names = np.array([_bare(name) for name in found], dtype=object)
    # two genes of one name may stand side by side, and then only one of them differs from its id
    differs = (of_id != "") & (names != of_id)
    neighbour = np.zeros(names.size, dtype=bool)
    neighbour[1:] |= differs[:-1] & (names[1:] == of_id[:-1])
    neighbour[:-1] |= differs[1:] & (names[:-1] == of_id[1:])
    wrong = np.flatnonzero(neighbour & differs)
    return int(wrong[0]) if wrong.size >= _FEWEST_OUT_OF_STEP else -1


def repeated_id(found: Names, ids: Names) -> tuple[int, int] | None:
    """Two genes with one Ensembl id and different names; None where there are fewer than three.

    Parameters
    ----------
    found, ids : (G,)
        Names and ids as in the file.
    """
    first_with, pairs = dict[str, int](), list[tuple[int, int]]()
    for at, own in enumerate(_bare_id(i) for i in ids):
        first = first_with.setdefault(own, at) if own else at
        if _bare(found[first]) != _bare(found[at]):
            pairs.append((first, at))
    return pairs[0] if len(pairs) >= _FEWEST_OUT_OF_STEP else None


def resolve(found: Names, ids: Names | None, genes: pd.DataFrame) -> Resolved:
    """Give every gene its symbol and Ensembl id.

    A name that is no symbol is mended where it is certain which gene is meant: what R makes of
    `HLA-A`, what Excel makes of `SEPT9`, an Ensembl id within a longer name, the mark of a name
    that is repeated, an older or newer symbol (column `aliases`) of a gene that the file does not
    name otherwise.

    Parameters
    ----------
    found, ids : (G,)
        As in the file.
    genes
        Columns `gene_id`, `symbol` and, where there are any, `aliases` (separated by `|`).
    """
    bare = np.array([_bare(n) for n in found], dtype=object)
    mended = defaultdict[str, list[tuple[str, str]]](list)
    symbol_of, id_of = _tables(genes)
    known = set(symbol_of.values())
    own_ids = np.array([_ensembl(n) for n in bare], dtype=object)
    from_file = own_ids
    if ids is not None:
        listed = [_bare_id(i) for i in ids]
        from_file = np.array([i or o for i, o in zip(listed, own_ids, strict=True)], dtype=object)
    # A versioned id is replaced by the plain id even if the table lacks it: versions differ
    # between files.
    plain = np.where(own_ids != "", own_ids, bare)
    names = np.array(
        [symbol_of.get(i) or n for i, n in zip(from_file, plain, strict=True)], dtype=object
    )
    for at, name, why in _mended(names, from_file, known, symbol_of, genes):
        mended[why].append((str(found[at]), name))
        names[at] = name
    gene_ids = np.array(
        [i or id_of.get(n, "") for i, n in zip(from_file, names, strict=True)], dtype=object
    )
    recognised = np.array(
        [i in symbol_of or n in known for i, n in zip(gene_ids, names, strict=True)],
        dtype=bool,
    )
    counted: OfNames = {
        "genes_recognised": int(recognised.sum()),
        "prefixes_removed": sum(_PREFIX.match(str(n)) is not None for n in found),
        "ids_to_symbols": int(((own_ids != "") & (names != plain)).sum()),
        "ids_unknown": int(((own_ids != "") & (names == plain)).sum()),
        "symbols_updated": int(((own_ids == "") & (names != plain)).sum()),
        "symbols_without_id": int((gene_ids == "").sum()),
    }
    return Resolved(names, gene_ids, recognised, counted, dict(mended))


def splicing_of(names: Names) -> Names:
    """Tell columns of spliced, unspliced and ambiguous counts, as alevin-fry's USA mode has them.

    Parameters
    ----------
    names : (G,)
        As in the file.

    Returns
    -------
    (G,) `S`, `U` or `A` where a name ends in `-S`, `-U` or `-A` and the file has the same gene
    without this mark or marked `-S`; else empty. All are empty if less than a quarter have a mark.
    """
    there = set(names)
    marks = np.array(
        [
            name[-1] if _SPLICING.search(name) and there & {name[:-2], f"{name[:-2]}-S"} else ""
            for name in (str(name) for name in names)
        ],
        dtype=object,
    )
    few = np.count_nonzero(marks != "") < _FEWEST_MARKED * max(names.size, 1)
    return np.full(names.size, "", dtype=object) if few else marks


def _mended(
    names: Names,
    ids: Names,
    known: set[str],
    symbol_of: Mapping[str, str],
    genes: pd.DataFrame,
) -> Iterator[tuple[int, str, str]]:
    """Place, name and reason of each name that can be mended."""
    unknown = [
        at for at, name in enumerate(names) if name not in known and ids[at] not in symbol_of
    ]
    if not unknown:
        return
    here = set(names)
    left = list[int]()
    for at in unknown:
        name, why = _certain(str(names[at]), known, symbol_of, here)
        if name:
            here.add(name)
            yield at, name, why
        else:
            left.append(at)
    symbol_of_alias = _aliases(genes)
    wanted = [(at, symbol_of_alias.get(str(names[at]), "")) for at in left]
    repeated = pd.Series([symbol for _, symbol in wanted if symbol]).value_counts()
    for at, symbol in wanted:
        # the file may hold the gene under its symbol, and then the other row is something else
        if symbol and symbol not in here and repeated[symbol] == 1:
            yield at, symbol, "older or newer symbols are written as the table of genes has them"


def _certain(
    name: str, known: set[str], symbol_of: Mapping[str, str], here: set[str]
) -> tuple[str, str]:
    """The symbol that was meant, and what happened to it; empty if that is not certain."""
    within = set(_WITHIN.findall(name))
    symbol = symbol_of.get(next(iter(within))) if len(within) == 1 else None
    # beside the gene itself, such a name is a part of it (introns) or something else
    if symbol and symbol not in here:
        return symbol, "an Ensembl id stands within a longer name"
    for form in _forms_before_r(name):
        if form in known and form not in here:
            return form, "names that R, Seurat or TCGA has changed are put back (`HLA.A` is HLA-A)"
    return "", ""


def _forms_before_r(name: str) -> Iterator[str]:
    """What a name may have been before R's `make.names`, or before Seurat changed `_` to `-`."""
    if _MITOCHONDRIAL.match(name):
        yield "MT-" + _MITOCHONDRIAL.sub("", name).upper()
    if _READING_FRAME.match(name):
        yield _READING_FRAME.sub(r"\1orf\2", name)
    if _ENTREZ.search(name):
        yield _ENTREZ.sub("", name)
    start = name[1:] if re.match(r"X\d", name) else name
    if start != name:
        yield start
    if "." in start:
        yield start.replace(".", "-")
        yield start.replace(".", "-", 1)
        yield start.replace(".", "_")
    if "-" in start:
        yield start.replace("-", "_")
        yield start.replace("-", "_", 1)


def _aliases(genes: pd.DataFrame) -> dict[str, str]:
    """Symbol of each alias; none where the table has no aliases."""
    if "aliases" not in genes:
        return {}
    some = genes[genes["aliases"] != ""]
    return {
        alias: symbol
        for symbol, aliases in zip(some["symbol"].tolist(), some["aliases"].tolist(), strict=True)
        for alias in str(aliases).split("|")
        if alias not in _REPORTERS
    }


@lru_cache(maxsize=_KEPT)
def _bare(name: object) -> str:
    return _PREFIX.sub("", str(name).strip())


@lru_cache(maxsize=_KEPT)
def _bare_id(name: object) -> str:
    return _ensembl(_bare(name))


def _ensembl(name: str) -> str:
    """Ensembl gene id without its version; "" for anything else."""
    found = _ENSEMBL.match(name)
    return found.group(1) if found else ""


def _tables(genes: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """Map id to symbol, and symbol to id where only one gene has the symbol."""
    unique = genes[~genes["symbol"].duplicated(keep=False)]
    id_of = dict(zip(unique["symbol"].tolist(), unique["gene_id"].tolist(), strict=True))
    return _symbol_of(genes), id_of


def _symbol_of(genes: pd.DataFrame) -> dict[str, str]:
    """Symbol of each Ensembl id; as lists, which are ten times as fast to go over as columns."""
    return dict(zip(genes["gene_id"].tolist(), genes["symbol"].tolist(), strict=True))


def ids_of_groups(ids: Names, groups: npt.NDArray[np.intp], n_groups: int) -> Names:
    """First non-empty id among the genes that were summed."""
    chosen = np.full(n_groups, "", dtype=object)
    for group, gene_id in zip(groups[::-1], ids[::-1], strict=True):
        if gene_id:
            chosen[group] = gene_id
    return chosen
