"""Text tables as producers write them: what describes genes or cells is never counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.formats.written import (
    CELLS,
    COUNTS,
    IDS,
    SYMBOLS,
    assert_is_truth,
    read,
    refused,
    write,
)

from ctcflow.errors import CtcflowError
from ctcflow.formats import words
from ctcflow.formats.read import read_counts


def by_gene() -> pd.DataFrame:
    return pd.DataFrame(COUNTS.T, index=pd.Index(SYMBOLS, name="gene"), columns=CELLS)


def by_cell() -> pd.DataFrame:
    return by_gene().T.rename_axis("cell")


def above(lines: str, frame: pd.DataFrame, separator: str = "\t") -> str:
    return lines + frame.to_csv(sep=separator)


def feature_counts(ending: str = ".bam", folder: str = "") -> str:
    frame = by_gene().rename_axis("Geneid")
    frame.columns = [f"{folder}{cell}{ending}" for cell in CELLS]
    described = {
        "Chr": ["chr1;chr1"] * len(SYMBOLS),
        "Start": ["100;300"] * len(SYMBOLS),
        "End": ["200;400"] * len(SYMBOLS),
        "Strand": ["+;+"] * len(SYMBOLS),
        "Length": range(100, 100 + len(SYMBOLS)),
    }
    for at, (name, column) in enumerate(described.items()):
        frame.insert(at, name, column)
    return above('# Program:featureCounts v2.0.1; Command:"featureCounts" "-a" "x.gtf"\n', frame)


def with_column(name: str, values: object, frame: pd.DataFrame | None = None, at: int = 0) -> str:
    frame = by_gene() if frame is None else frame
    frame.insert(at, name, values)
    return frame.to_csv(sep="\t")


def with_row(name: str, value: object) -> str:
    head, *lines = by_gene().to_csv(sep="\t").splitlines()
    row = "\t".join([name, *[str(value)] * len(CELLS)])
    return "\n".join([head, row, *lines, ""])


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """As pandas writes a frame with `index=True`, and R one with row names."""
    return frame.reset_index()


READ: dict[str, tuple[str, Callable[[], str]]] = {
    "Drop-seq": ("a.dge.txt.gz", lambda: above("#DGE\tVERSION:1.1\n#LIBRARY\tx.bam\n", by_gene())),
    "BD Rhapsody": (
        "S1_RSEC_MolsPerCell.csv",
        lambda: above("####\n## BD\n##\n", by_cell().rename_axis("Cell_Index"), ","),
    ),
    "comments and a blank line": ("a.tsv", lambda: above("# a\n\n# b\n", by_gene())),
    "a header that begins as a comment": ("a.tsv", lambda: "#" + by_gene().to_csv(sep="\t")),
    "a comment above a header that begins so": (
        "a.tsv",
        lambda: "# made by\n#" + by_gene().to_csv(sep="\t"),
    ),
    "featureCounts": ("counts.txt", feature_counts),
    "featureCounts of STAR": (
        "counts.txt",
        lambda: feature_counts("_Aligned.sortedByCoord.out.bam", "/data/x/"),
    ),
    "Length": ("a.tsv", lambda: with_column("Length", range(len(SYMBOLS)))),
    "gene_length": ("a.tsv", lambda: with_column("gene_length", 1000.5)),
    "effective_length": ("a.tsv", lambda: with_column("effective_length", 99.25)),
    "Start and End": (
        "a.tsv",
        lambda: with_column("End", 9, by_gene().assign(Start=1), len(CELLS)),
    ),
    "biotype": ("a.tsv", lambda: with_column("gene_biotype", "protein_coding")),
    "id and name": ("a.tsv", lambda: with_column("gene_id", IDS)),
    "id and name, one name an id": (
        "a.tsv",
        lambda: with_column("gene_id", IDS).replace("EPCAM\t", f"{IDS[0]}\t"),
    ),
    "name behind": ("a.tsv", lambda: with_column("ensembl", IDS, at=len(CELLS))),
    "row numbers of pandas": ("a.csv", lambda: numbered(by_gene()).to_csv()),
    "row numbers twice": (
        "a.csv",
        lambda: numbered(by_gene()).assign(**{"Unnamed: 0": 1}).to_csv(),
    ),
    "row numbers of R": (
        "a.tsv",
        lambda: numbered(by_gene()).set_axis(range(1, 23)).to_csv(sep="\t").removeprefix("\t"),
    ),
    "cells behind row numbers": ("a.csv", lambda: numbered(by_cell()).to_csv()),
    "names of cells twice": ("a.csv", lambda: by_cell().assign(barcode="x").to_csv()),
    "metadata in columns": (
        "a.csv",
        lambda: by_cell().assign(nCount_RNA=9.5, **{"percent.mt": 0.1}, cluster="T cell").to_csv(),
    ),
    "metadata of scanpy": (
        "a.csv",
        lambda: by_cell().assign(n_genes_by_counts=3, pct_counts_mt=0.1, leiden="4").to_csv(),
    ),
    "codes above the genes": ("a.txt", lambda: with_row("malignant(1=no,2=yes,0=unresolved)", 1)),
    "blanks above the genes": ("a.txt", lambda: with_row("classified as cancer cell", 0)),
    "words above the genes": ("a.txt", lambda: with_row("non-cancer cell type", "T cell")),
    "a word above the genes": ("a.txt", lambda: with_row("tumor", 72)),
    "totals of Seurat above": ("a.txt", lambda: with_row("nCount_RNA", 2000)),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_the_same_counts_of_every_table(tmp_path: Path, kind: str) -> None:
    name, text = READ[kind]
    raw = read(write(tmp_path / name, text()))
    names = [IDS[0], *SYMBOLS[1:]] if kind == "id and name, one name an id" else SYMBOLS
    assert_is_truth(raw, names=names)
    assert raw.adata.X.dtype.kind == "i"
    if kind in ("id and name", "id and name, one name an id", "name behind"):
        assert raw.adata.var["gene_id"].tolist() == list(IDS)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("featureCounts", "no counts were left out: `Chr`, `Start`, `End`, `Strand` and 1 more"),
        ("Length", "columns that hold no counts were left out: `Length`"),
        ("metadata in columns", "left out: `nCount_RNA`, `percent.mt`, `cluster`"),
        ("codes above the genes", "rows .* left out: `malignant.1=no,2=yes,0=unresolved.`"),
        ("totals of Seurat above", "rows that hold no counts were left out: `nCount_RNA`"),
    ],
)
def test_what_is_left_out_is_said(tmp_path: Path, kind: str, note: str) -> None:
    import re

    name, text = READ[kind]
    (_, said) = read(write(tmp_path / name, text())).notes
    assert re.search(note, said)


def test_metadata_at_the_end_of_the_rows(tmp_path: Path) -> None:
    text = by_gene().to_csv(sep="\t") + "\t".join(["nFeature_RNA", *["9"] * len(CELLS)]) + "\n"
    assert_is_truth(read(write(tmp_path / "a.tsv", text)))


def test_types_of_features_in_a_column(tmp_path: Path) -> None:
    types = ["Gene Expression"] * (len(SYMBOLS) - 1) + ["Antibody Capture"]
    text = with_column("feature_type", types)
    adata = read(write(tmp_path / "a.tsv", text)).adata
    assert adata.var_names.tolist() == list(SYMBOLS[:-1])
    assert adata.obsm["protein"].iloc[:, 0].tolist() == COUNTS[:, -1].tolist()


def test_in_pieces_with_rows_and_columns_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctcflow.formats import tables

    monkeypatch.setattr(tables, "VALUES_AT_ONCE", 20)
    for kind in READ.keys() - {"id and name, one name an id"}:
        name, text = READ[kind]
        assert_is_truth(read(write(tmp_path / kind / name, text())))


@pytest.mark.parametrize("order", [("gene", "cell", "count"), ("cell", "gene", "count")])
@pytest.mark.parametrize("heads", [("gene", "cell", "count"), ("gene_name", "barcode", "n")])
def test_a_long_table(
    tmp_path: Path, order: tuple[str, ...], heads: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctcflow.formats import tables

    monkeypatch.setattr(tables, "VALUES_AT_ONCE", 21)
    lines = [
        {"gene": gene, "cell": cell, "count": COUNTS[row, column]}
        for row, cell in enumerate(CELLS)
        for column, gene in enumerate(SYMBOLS)
    ]
    frame = pd.DataFrame(lines)[list(order)]
    named = dict(zip(("gene", "cell", "count"), heads, strict=True))
    raw = read(
        write(tmp_path / "a.tsv.gz", frame.rename(columns=named).to_csv(sep="\t", index=False))
    )
    assert_is_truth(raw)
    assert raw.notes == ["a long table: one line for each gene of each cell"]


def test_a_long_table_without_zeros_or_with_a_pair_twice_or_text(tmp_path: Path) -> None:
    head = "gene\tcell\tcount\n"
    adata = read(write(tmp_path / "a.tsv", f"{head}EPCAM\t1\t3\nKRT8\t2\t1\n")).adata
    assert adata.obs_names.tolist() == ["1", "2"]  # BD numbers its cells
    assert adata.X.toarray().tolist() == [[3, 0], [0, 1]]
    path = write(tmp_path / "b.tsv", f"{head}EPCAM\ta\t3\nEPCAM\ta\t3\n")
    refused(path, "counts 1 genes more than once in a cell")
    path = write(tmp_path / "c.tsv", f"{head}EPCAM\ta\t3\nKRT8\ta\tmany\n")
    refused(path, "text where counts should be .column 2: `many`. under `count`")
    path = write(tmp_path / "d.tsv", f"{head}EPCAM\ta\t3\nKRT8\ta\tNA\n")
    refused(path, "1 values that are NaN or infinite")
    path = write(tmp_path / "e.tsv", "EPCAM\ta\t3\nKRT8\tb\t2\n")
    refused(path, "text where counts should be")


@pytest.mark.parametrize(
    ("name", "text", "pattern"),
    [
        (
            "a.csv",
            lambda: by_cell().assign(my_label="T").to_csv(),
            r"text where counts should be .column 23: `T`. under `my_label`",
        ),
        (
            "a.tsv",
            lambda: with_column("remark", "checked"),
            r"text where counts should be .column 1: `checked`. under `remark`",
        ),
        ("a.tsv", lambda: "Geneid\tLength\nEPCAM\t3\nKRT8\t4\n", "has no column of counts"),
        ("a.csv", lambda: "".join(f"{s},x\n" for s in ("gene", *SYMBOLS)), "text where counts"),
        ("a.tsv", lambda: "# only\n# comments\n", "has no lines"),
    ],
)
def test_what_cannot_be_told_is_named(
    tmp_path: Path, name: str, text: Callable[[], str], pattern: str
) -> None:
    refused(write(tmp_path / name, text()), pattern)


def test_two_columns_of_symbols(tmp_path: Path) -> None:
    text = with_column("symbol", [f"OLD{n}" for n in range(len(SYMBOLS))], at=0)
    raw = read(write(tmp_path / "a.tsv", text))
    assert_is_truth(raw)
    assert raw.notes[1] == "columns that hold no counts were left out: `symbol`"


def test_one_table_of_feature_counts_per_cell(tmp_path: Path) -> None:
    for at, cell in enumerate(CELLS):
        lines = ["# Program:featureCounts v2.0.1", "Geneid\tChr\tStart\tEnd\tStrand\tLength\tx.bam"]
        lines += [
            f"{s}\t1;1\t5;8\t6;9\t+;+\t900\t{n}" for s, n in zip(SYMBOLS, COUNTS[at], strict=True)
        ]
        write(tmp_path / f"{cell}.txt", "\n".join(lines))
    assert_is_truth(read(tmp_path))


def test_cells_named_by_bam_files_of_one_name_keep_their_folders(tmp_path: Path) -> None:
    frame = by_gene()
    frame.columns = [f"{cell}/Aligned.out.bam" for cell in CELLS]
    assert_is_truth(read(write(tmp_path / "a.tsv", frame.to_csv(sep="\t"))), cells=frame.columns)


def test_a_table_of_cells_that_have_names_with_blanks(tmp_path: Path) -> None:
    frame = by_cell()
    frame.index = [f"patient 1 cell {n}" for n in range(len(CELLS))]
    assert_is_truth(read(write(tmp_path / "a.csv", frame.to_csv())), cells=frame.index)


def test_no_word_of_the_tables_is_a_gene(tables: dict[str, pd.DataFrame]) -> None:
    every = {*tables["genes"]["symbol"], *tables["genes"]["gene_id"]}
    every |= {gene.replace("-", ".") for gene in every}  # as R writes them
    told = words.SYMBOLS | words.IDS | words.TYPES | words.CELLS | words.COUNTS
    assert [gene for gene in every if words.plain(gene) in told] == []
    assert [gene for gene in every if words.is_of_cells(gene)] == []
    # these are looked for among names of cells only, where `max` is no gene
    assert [gene for gene in every if words.is_of_genes(gene)] == ["MAX"]


def test_the_gene_max_is_kept_in_rows_and_in_columns(tmp_path: Path) -> None:
    frame = by_gene()
    wanted = ["MAX", *frame.index[1:]]
    frame.index = wanted
    for k, each in enumerate((frame, frame.T)):
        raw = read(write(tmp_path / f"{k}.csv", each.to_csv()))
        assert list(raw.adata.var_names) == wanted


def test_permuted_rows_and_columns_give_the_same_counts(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for number in range(12):
        rows, columns = random.permutation(len(SYMBOLS)), random.permutation(len(CELLS))
        frame = by_gene().iloc[rows, columns]
        frame.insert(
            int(random.integers(len(CELLS))), "Length", random.integers(1, 9, len(SYMBOLS))
        )
        frame.insert(int(random.integers(len(CELLS))), "gene_id", np.array(IDS)[rows])
        adata = read(write(tmp_path / f"{number}.tsv.gz", frame.to_csv(sep="\t"))).adata
        np.testing.assert_array_equal(adata[list(CELLS), list(SYMBOLS)].X.toarray(), COUNTS)
        assert adata.var.loc[list(SYMBOLS), "gene_id"].tolist() == list(IDS)


def test_ids_alone_are_known_without_a_table_of_genes(tmp_path: Path) -> None:
    frame = by_gene().set_axis(IDS).rename_axis("Geneid")
    frame.insert(0, "Length", 5)
    adata = read_counts(write(tmp_path / "a.tsv", frame.to_csv(sep="\t")), format=None).adata
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)


def test_a_cell_whose_first_line_has_another_column_is_refused(tmp_path):
    for number in range(3):
        (tmp_path / f"cell{number}.tsv").write_text("TP53\t1\nEPCAM\t0\nPTPRC\t2\n")
    (tmp_path / "cell1.tsv").write_text("\tTP53\t1\nEPCAM\t0\nPTPRC\t2\n")
    with pytest.raises(CtcflowError, match=r"cell1.tsv` has .* columns"):
        read_counts(tmp_path, format=None)
