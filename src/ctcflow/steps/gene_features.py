"""Which features of a matrix are genes, and names and ids that cannot be what they say."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.settings.sample_params import IngestParams
from ctcflow.stats.counts.checks import share_of_columns
from ctcflow.stats.counts.gene_names import (
    Resolved,
    agreement,
    in_mouse_case,
    of_other_species,
    out_of_step,
    repeated_id,
    share_of_human_ids,
    splicing_of,
)

Names = npt.NDArray[np.object_]

_MIN_GENES: Final = 200
_MIN_SHARE: Final = 0.1
_MOST_UNKNOWN: Final = 0.05
_FEWEST_GENES: Final = 100
"""Largest share of all counts in a feature that is no known gene, and how many genes a matrix must
have for this to tell something."""
_MOST_UNKNOWN_TOGETHER: Final = 0.3
"""Largest share of all counts in all features that are no known genes."""
_UNKNOWN_SAID: Final = 0.005
_MANY_PAIRS: Final = 20
_FEWEST_PAIRS: Final = 3
_LEAST_AGREEMENT: Final = 0.95
_LEAST_OF_FEW: Final = 0.5
"""Of genes whose id and name are both known."""
_MOST_IN_MOUSE_CASE: Final = 20
_FEWEST_HUMAN_IDS: Final = 0.1
_ENSEMBL: Final = re.compile(r"ENSG\d{11}(?:\.\d+)?(?:_PAR_Y)?")
_UNSPLICED: Final = "unspliced counts"
_FEWEST_REPEATS: Final = 3
_FEWEST_OF_TWO: Final = 2
"""Names of a block that others have too: this many, or all of a block of two."""
_LEAST_REPEATED: Final = 0.25
_LARGEST_PANEL: Final = 400
_SECOND_OF_NAME: Final = "the name of a gene, without an Ensembl id as the gene has"
_NAMED: Final = "named in ingest.not_genes"
_PARTS_OF_BARCODE: Final = (
    r"^(?P<before>[A-Za-z0-9_.#-]*?)(?:[_.:#-])?[ACGT]{10,24}(?P<after>-\d+)?$"
)
_MOST_OF_CELLS: Final = 0.9
"""Share of names of cells that are barcodes of which something is told apart."""


def refuse_another_species(found: Names, ids: Names | None, genes: pd.DataFrame) -> None:
    """Refuse ids of another species, and human symbols in the case of mouse genes."""
    if ids is not None and share_of_human_ids(ids) < _FEWEST_HUMAN_IDS:
        raise CtcflowError(
            f"the ids of the genes are not human (first: `{ids[0]}` of `{found[0]}`): give human"
            " data"
        )
    n = in_mouse_case(found, ids, set(genes["symbol"]))
    if n > _MOST_IN_MOUSE_CASE:
        raise CtcflowError(
            f"{n} of {found.size} names are human symbols in the case of mouse genes (such as"
            " `Actb`), and the file has few of them in capitals too: give human data with symbols"
            " as they are written (`ACTB`), or Ensembl ids"
        )


def kept_apart(found: Names, ids: Names | None, genes: pd.DataFrame, params: IngestParams) -> Names:
    """Why each feature is kept apart from the genes; empty for genes."""
    apart = np.full(found.size, "", dtype=object)
    if params.unspliced == "leave out":
        apart[splicing_of(found) == "U"] = _UNSPLICED
    apart[of_other_species(found, ids, set(genes["symbol"]))] = keys.OTHER_SPECIES_TYPE
    apart[np.isin(found.astype(str), params.not_genes)] = _NAMED
    apart[(apart == "") & _of_a_genes_name(found, ids)] = _SECOND_OF_NAME
    return apart


def _of_a_genes_name(found: Names, ids: Names | None) -> npt.NDArray[np.bool_]:
    """Features that have the name of a gene, and no Ensembl id as that gene has: antibodies."""
    if ids is None:
        return np.zeros(found.size, dtype=bool)
    of_ensembl = np.array([_ENSEMBL.fullmatch(str(own)) is not None for own in ids], dtype=bool)
    return ~of_ensembl & np.isin(found.astype(str), found[of_ensembl].astype(str))


def refuse_appended(found: Names, ids: Names | None) -> None:
    """Refuse a table that begins or ends with names of its genes again, as antibodies do.

    Of a panel of antibodies some have the name of a gene (CD4) and others have not (CD3, IgG1). Two
    genes of one name stand anywhere, and not in a block. Ids that are no Ensembl ids tell nothing.
    """
    if ids is not None and any(_ENSEMBL.fullmatch(str(own)) for own in ids):
        return  # see `_of_a_genes_name`
    again = pd.Series(found).duplicated(keep=False).to_numpy()
    for side, flags in (("last", again[::-1]), ("first", again)):
        for size in 1 + np.flatnonzero(flags[: min(_LARGEST_PANEL, found.size // 2)]):
            of_block = found[-size:] if side == "last" else found[:size]
            rest = set(found[:-size] if side == "last" else found[size:])
            both = [name for name in dict.fromkeys(of_block) if name in rest]
            few = _FEWEST_OF_TWO if len(both) == size else _FEWEST_REPEATS
            if len(both) >= max(few, _LEAST_REPEATED * size):
                shown = ", ".join(f"`{name}`" for name in both[:3])
                raise CtcflowError(
                    f"among the {side} {size} features, {len(both)} have names of others ({shown}),"
                    " as antibodies that were put beside the genes: write `ADT_` before their"
                    " names, or leave them out"
                )


def without_marks(found: Names, params: IngestParams) -> Names:
    """Names without alevin-fry's marks of spliced, unspliced and ambiguous counts."""
    marks = splicing_of(found)
    marked = marks != ""
    if not marked.any():
        return found
    if params.unspliced == "refuse":
        n_unspliced, n_ambiguous = int((marks == "U").sum()), int((marks == "A").sum())
        raise CtcflowError(
            f"the file has spliced, unspliced and ambiguous counts of genes apart ({n_unspliced}"
            f" names end in -U, {n_ambiguous} in -A, as alevin-fry writes them): set"
            " ingest.unspliced to `add` (as Cell Ranger 7 and later count) or to `leave out`"
        )
    return np.where(marked, [str(name)[:-2] for name in found], found)


def refuse_ids_out_of_step(found: Names, ids: Names | None, genes: pd.DataFrame) -> None:
    """Refuse ids that belong to other names than those beside them."""
    if ids is None:
        return
    n_agree, n_pairs = agreement(found, ids, genes)
    least = _LEAST_AGREEMENT if n_pairs >= _MANY_PAIRS else _LEAST_OF_FEW
    if n_pairs >= _FEWEST_PAIRS and n_agree < least * n_pairs:
        raise CtcflowError(
            f"ids and names of genes do not belong together: of {n_pairs} genes of which both are"
            f" known, {n_agree} agree (first: `{ids[0]}` is named `{found[0]}`): a column is out of"
            " step, write the file again from its source"
        )
    at = out_of_step(found, ids, genes)
    if at >= 0:
        raise CtcflowError(
            f"ids and names of some genes do not belong together (first: `{ids[at]}` is named"
            f" `{found[at]}`, the name of the id beside it): part of a column is out of step, write"
            " the file again from its source"
        )
    pair = repeated_id(found, ids)
    if pair is not None:
        first, second = pair
        raise CtcflowError(
            f"several genes have one id (first: `{ids[first]}` is `{found[first]}` and"
            f" `{found[second]}`): write the file again from its source"
        )


def refuse_unknown(
    x: sparse.csr_matrix, found: Names, recognised: npt.NDArray[np.bool_]
) -> list[str]:
    """Refuse features that are no known genes and hold too many of the counts; else say how many.

    Returns
    -------
    A sentence where they hold enough to be said; else none.
    """
    share = share_of_columns(x)
    of_ensembl = np.array([_ENSEMBL.fullmatch(str(name)) is not None for name in found], dtype=bool)
    share[recognised | of_ensembl] = 0.0
    if share.size >= _FEWEST_GENES and share.max() > _MOST_UNKNOWN:
        at = int(share.argmax())
        raise CtcflowError(
            f"`{found[at]}` is no known gene and holds {share[at]:.0%} of all counts: remove it, or"
            " name it in ingest.not_genes to keep it apart"
        )
    if share.size >= _FEWEST_GENES and share.sum() > _MOST_UNKNOWN_TOGETHER:
        largest = ", ".join(f"`{found[at]}`" for at in np.argsort(-share, kind="stable")[:3])
        raise CtcflowError(
            f"{np.count_nonzero(share)} features are no known genes and hold {share.sum():.0%} of"
            f" all counts (most: {largest}): name genes by human symbol or Ensembl id, and give"
            " other features a type"
        )
    if share.sum() <= _UNKNOWN_SAID:
        return []
    largest = ", ".join(f"`{found[at]}`" for at in np.argsort(-share, kind="stable")[:3])
    return [
        f"{np.count_nonzero(share)} features with counts are no known genes and hold"
        f" {share.sum():.1%} of all counts (most: {largest})"
    ]


def refuse_foreign(
    recognised: npt.NDArray[np.bool_],
    found: Names,
    n_other_species: int,
    *,
    cells: Names,
    genes: pd.DataFrame,
) -> None:
    """Refuse a matrix of which hardly a feature is a known human gene."""
    n, share = int(recognised.sum()), float(recognised.mean())
    if n < _MIN_GENES and share < _MIN_SHARE:
        known = {*genes["symbol"].tolist(), *genes["gene_id"].tolist()}
        if sum(str(cell) in known for cell in cells) > _MIN_SHARE * cells.size:
            raise CtcflowError(
                f"cells and genes are swapped (first cell: `{cells[0]}`, first gene: `{found[0]}`):"
                " write the file with cells in rows (`adata.T`)"
            )
        shown = ", ".join(f"`{g}`" for g in found[:5])
        raise CtcflowError(
            f"only {n} of {found.size} gene names are known human genes (first names: {shown}"
            + (f"; {n_other_species} of another species beside" if n_other_species else "")
            + "): name genes by human symbol or Ensembl id"
        )


def said_of_cells(cells: Names) -> list[str]:
    """Say that the names of cells look like those of several lanes or samples."""
    names = pd.Series(cells.astype(str))
    parts = names.str.extract(_PARTS_OF_BARCODE)
    for column, what in (("after", "end"), ("before", "begin")):
        counted = parts[column].value_counts()
        if len(counted) > 1 and counted.sum() >= _MOST_OF_CELLS * names.size:
            shown = ", ".join(f"`{part}` {n}" for part, n in counted.head(3).items())
            more = f" and {len(counted) - 3} more" if len(counted) > 3 else ""
            return [
                f"names of cells {what} differently ({shown}{more}): where these are lanes or"
                " samples, give each a file and a row of its own"
            ]
    return []


def said_of_rows(resolved: Resolved, apart: Names, groups: npt.NDArray[np.intp]) -> list[str]:
    """What was done with names of genes, and with rows of one gene, in words."""
    notes = [
        f"{len(pairs)} names were mended: {why} (e.g. `{pairs[0][0]}` to `{pairs[0][1]}`)"
        for why, pairs in resolved.mended.items()
    ]
    for why in dict.fromkeys(apart[apart != ""]):
        notes.append(f"{int((apart == why).sum())} features are kept apart from the genes: {why}")
    again = np.flatnonzero(pd.Series(groups).duplicated())
    if again.size:
        shown = ", ".join(f"`{name}`" for name in resolved.names[again[:3]])
        notes.append(
            f"{again.size} rows of genes that are named more than once were added up ({shown})"
        )
    return notes
