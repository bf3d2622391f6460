"""Matrix Market files under the names of their producers give the same counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
    write_list,
    write_mtx,
)

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import input_files, locate
from ctcflow.formats.genes import gene_names
from ctcflow.formats.size import size_of


def parse(folder: Path, matrix: str = "count_matrix.mtx", prefix: str = "") -> Path:
    write_mtx(folder / f"{prefix}{matrix}", COUNTS)
    genome = ["hg38"] * len(IDS)
    write_list(
        folder / f"{prefix}all_genes.csv", IDS, SYMBOLS, genome, header="gene_id,gene_name,genome"
    )
    samples = ["s1"] * len(CELLS)
    header = "bc_wells,sample,species"
    write_list(folder / f"{prefix}cell_metadata.csv", CELLS, samples, samples, header=header)
    return folder


def kb(folder: Path, matrix: str = "cells_x_genes.mtx") -> Path:
    write_mtx(folder / matrix, COUNTS)
    write_list(folder / "cells_x_genes.genes.txt", [f"{own}.12" for own in IDS])
    write_list(folder / "cells_x_genes.genes.names.txt", SYMBOLS)
    write_list(folder / "cells_x_genes.barcodes.txt", CELLS)
    return folder


def alevin_fry(folder: Path) -> Path:
    write_mtx(folder / "quants_mat.mtx", COUNTS, field="real")
    write_list(folder / "quants_mat_cols.txt", SYMBOLS)
    write_list(folder / "quants_mat_rows.txt", CELLS)
    return folder


def cell_ranger(folder: Path, prefix: str = "") -> Path:
    write_mtx(folder / f"{prefix}matrix.mtx.gz", COUNTS.T)
    types = ["Gene Expression"] * len(IDS)
    write_list(folder / f"{prefix}features.tsv.gz", IDS, SYMBOLS, types)
    write_list(folder / f"{prefix}barcodes.tsv.gz", CELLS)
    return folder


LAYOUTS = {
    "Parse": (parse, "", "mtx"),
    "Parse, older": (lambda at: parse(at, "DGE.mtx"), "", "mtx"),
    "Parse, a sample": (lambda at: parse(at / "DGE_filtered").parent, "DGE_filtered", "mtx"),
    "Parse from GEO": (lambda at: parse(at, "DGE.mtx", "GSM1_s1_"), "", "mtx"),
    "kb": (kb, "", "mtx"),
    "kb, filtered": (lambda at: kb(at / "counts_filtered").parent, "counts_filtered", "mtx"),
    "kb, nac": (lambda at: kb(at, "cells_x_genes.total.mtx"), "", "mtx"),
    "alevin-fry": (lambda at: alevin_fry(at / "alevin").parent, "alevin", "mtx"),
    "simpleaf": (
        lambda at: alevin_fry(at / "af_quant/alevin").parents[1],
        "af_quant/alevin",
        "mtx",
    ),
    "Cell Ranger": (cell_ranger, "", "10x_mtx"),
    "BD Rhapsody": (lambda at: cell_ranger(at, "S1_RSEC_MolsPerCell_MEX_"), "", "10x_mtx"),
    "STARsolo, Ex50pAS": (
        lambda at: cell_ranger(at / "Solo.out/GeneFull_Ex50pAS/filtered").parents[1],
        "GeneFull_Ex50pAS/filtered",
        "starsolo",
    ),
    "STARsolo, ExonOverIntron": (
        lambda at: cell_ranger(at / "Solo.out/GeneFull_ExonOverIntron/filtered").parents[1],
        "GeneFull_ExonOverIntron/filtered",
        "starsolo",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_a_producer(tmp_path: Path, layout: str) -> None:
    make, below, format_ = LAYOUTS[layout]
    folder = make(tmp_path)
    raw = read(folder)
    assert_is_truth(raw)
    assert raw.format == format_
    assert raw.notes == []
    files = input_files(folder, format=None)
    assert all(file.parent == folder / below for file in files)
    # every file by its own name, and under the name of another format
    assert_is_truth(read(files[0]))
    assert_is_truth(read(folder, "10x_mtx"))
    assert_is_truth(read(folder, "mtx"))
    source = locate(folder, format=None)
    assert size_of(source) == (len(CELLS), np.count_nonzero(COUNTS), 0)
    assert gene_names(source) >= set(SYMBOLS)


def test_ids_stand_beside_the_symbols(tmp_path: Path) -> None:
    assert read(parse(tmp_path / "p")).adata.var["gene_id"].tolist() == list(IDS)
    assert read(kb(tmp_path / "k")).adata.var["gene_id"].tolist() == [f"{i}.12" for i in IDS]


def test_kb_without_a_name_keeps_the_id(tmp_path: Path) -> None:
    folder = kb(tmp_path)
    write_list(folder / "cells_x_genes.genes.names.txt", ["", *SYMBOLS[1:]])
    assert_is_truth(read(folder), names=[f"{IDS[0]}.12", *SYMBOLS[1:]])
    (folder / "cells_x_genes.genes.names.txt").unlink()
    assert_is_truth(read(folder), names=[f"{own}.12" for own in IDS])


def test_kb_lists_of_two_lengths(tmp_path: Path) -> None:
    folder = kb(tmp_path)
    write_list(folder / "cells_x_genes.genes.names.txt", SYMBOLS[1:])
    with pytest.raises(
        CtcflowError, match="names.txt` has 21 lines, but cells_x_genes.genes.txt has 22"
    ):
        read(folder)


def test_kb_parts_of_a_sum(tmp_path: Path) -> None:
    folder = kb(tmp_path, "cells_x_genes.mature.mtx")
    write_mtx(folder / "cells_x_genes.nascent.mtx", COUNTS)
    assert "kb count ... --sum=total" in refused(folder, "one of several matrices of kb")
    write_mtx(folder / "cells_x_genes.total.mtx", COUNTS)
    assert_is_truth(read(folder))


def test_droplets_of_kb_and_parse_are_not_taken_for_cells(tmp_path: Path) -> None:
    kb(tmp_path / "k" / "counts_unfiltered")
    refused(tmp_path / "k", "holds unfiltered droplets only .found counts_unfiltered")
    assert_is_truth(read(tmp_path / "k" / "counts_unfiltered"))
    kb(tmp_path / "k" / "counts_filtered")
    write_list(tmp_path / "k" / "counts_unfiltered" / "cells_x_genes.barcodes.txt", CELLS[:1])
    assert_is_truth(read(tmp_path / "k"))
    parse(tmp_path / "p" / "DGE_unfiltered")
    refused(tmp_path / "p", "holds unfiltered droplets only")


GEO = [
    ("GSM5_counts.mtx.gz", "GSM5_genes.tsv.gz", "GSM5_cells.tsv.gz"),
    ("GSM5_raw_counts.mtx", "GSM5_features.csv", "GSM5_cell_ids.csv"),
    ("count_matrix.mtx.gz", "gene_names.txt", "barcodes.txt"),
    ("counts.mtx", "genes.csv", "barcodes.csv"),
    ("matrix.mtx", "genes.txt", "barcodes.txt"),
    ("GSM5_S1.mtx.gz", "GSM5_S1_genes.txt.gz", "GSM5_S1_barcodes.txt.gz"),
    ("S1.mtx", "S1.genes.tsv", "S1.barcodes.tsv"),
    ("GSM5-umi.mtx", "GSM5-gene_symbols.tsv", "GSM5-cell_names.tsv"),
    ("GSM5_Counts.MTX", "GSM5_Genes.TSV", "GSM5_Cells.TSV"),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("names", GEO)
def test_names_of_authors_in_either_orientation(
    tmp_path: Path, names: tuple[str, str, str], turned: bool
) -> None:
    matrix, genes, cells = names
    write_mtx(tmp_path / matrix.lower(), COUNTS if turned else COUNTS.T)
    (tmp_path / matrix.lower()).rename(tmp_path / matrix)
    write_list(tmp_path / genes, SYMBOLS)
    write_list(tmp_path / cells, CELLS)
    raw = read(tmp_path)
    assert_is_truth(raw)
    assert raw.format == "mtx"
    assert_is_truth(read(tmp_path / matrix))


@pytest.mark.parametrize(
    ("genes", "header"),
    [
        ([IDS, SYMBOLS], "gene_id\tgene_name"),
        ([SYMBOLS, IDS], "gene_name\tgene_id"),
        ([IDS, SYMBOLS, ["chr1"] * len(IDS)], "ENSEMBL\tSYMBOL\tCHR"),
        ([IDS, SYMBOLS], ""),
        ([SYMBOLS, IDS], ""),
        ([[str(n + 1) for n in range(len(IDS))], SYMBOLS], '""\t"x"'),
        ([[f'"{n + 1}"' for n in range(len(IDS))], [f'"{s}"' for s in SYMBOLS]], '""\t"x"'),
        ([[str(n) for n in range(len(IDS))], SYMBOLS], ""),
        ([[f'"{n + 1}"' for n in range(len(IDS))], [f'"{s}"' for s in SYMBOLS]], '"x"'),
        ([SYMBOLS], "Gene"),
        ([[f'"{s}"' for s in SYMBOLS]], '"x"'),
    ],
)  # fmt: skip
def test_lists_with_header_row_numbers_and_quotes(
    tmp_path: Path, genes: list[list[str]], header: str
) -> None:
    write_mtx(tmp_path / "counts.mtx", COUNTS.T)
    write_list(tmp_path / "genes.tsv", *genes, header=header)
    write_list(tmp_path / "cells.tsv", CELLS, header="barcode")
    raw = read(tmp_path)
    assert_is_truth(raw)
    if len(genes) > 1 and IDS in genes:
        assert raw.adata.var["gene_id"].tolist() == list(IDS)


def test_a_header_that_is_none_is_a_list_of_another_length(tmp_path: Path) -> None:
    write_mtx(tmp_path / "counts.mtx", COUNTS.T)
    write_list(tmp_path / "cells.tsv", CELLS)
    write_list(tmp_path / "genes.tsv", ["AGENE", *SYMBOLS])
    refused(tmp_path / "counts.mtx", "genes.tsv has 23 lines and cells.tsv 6: copy")
    write_list(tmp_path / "genes.tsv", ["gene", *SYMBOLS[1:]])
    refused(tmp_path / "counts.mtx", "genes.tsv has 21 lines")


def test_a_line_without_a_name_is_no_gene(tmp_path: Path) -> None:
    """STAR 2.7.0 began genes.tsv so, and every gene stood one line too low."""
    folder = cell_ranger(tmp_path / "m")
    write(folder / "features.tsv.gz", "\n" + "".join(f"{s}\n" for s in SYMBOLS[:-1]))
    refused(folder / "matrix.mtx.gz", "features.tsv.gz has 21 lines")


def square(folder: Path, matrix: str, genes: str, cells: str, counts: np.ndarray) -> Path:
    write_mtx(folder / matrix, counts)
    write_list(folder / genes, SYMBOLS[: len(CELLS)])
    write_list(folder / cells, CELLS)
    return folder


def test_a_square_matrix_is_turned_as_its_producer_does_or_refused(tmp_path: Path) -> None:
    counts = COUNTS[:, : len(CELLS)]
    assert not np.array_equal(counts, counts.T)
    places = {
        "t": ("matrix.mtx", "features.tsv", "barcodes.tsv", counts.T),
        "k": ("cells_x_genes.mtx", "cells_x_genes.genes.txt", "cells_x_genes.barcodes.txt", counts),
        "a": ("quants_mat.mtx", "quants_mat_cols.txt", "quants_mat_rows.txt", counts),
    }
    for name, given in places.items():
        adata = read(square(tmp_path / name, *given)).adata
        np.testing.assert_array_equal(adata.X.toarray(), counts)
    folder = square(tmp_path / "g", "counts.mtx", "genes.tsv", "cells.tsv", counts)
    refused(folder / "counts.mtx", "as many genes as cells .6., so that either may be its rows")


def test_lists_under_the_names_of_each_other(tmp_path: Path) -> None:
    write_mtx(tmp_path / "counts.mtx", COUNTS.T)
    write_list(tmp_path / "genes.tsv", CELLS)
    write_list(tmp_path / "cells.tsv", SYMBOLS)
    with pytest.raises(CtcflowError, match="cells.tsv` lists genes and `genes.tsv` does not: swap"):
        read(tmp_path)


def test_usa_mode_keeps_the_three_counts_of_a_gene_apart(tmp_path: Path) -> None:
    write_mtx(tmp_path / "quants_mat.mtx", np.hstack([COUNTS, COUNTS + 1, COUNTS + 2]))
    names = [f"{own}{end}" for end in ("", "-U", "-A") for own in IDS]
    write_list(tmp_path / "quants_mat_cols.txt", names)
    write_list(tmp_path / "quants_mat_rows.txt", CELLS)
    assert read(tmp_path).adata.var_names.tolist() == names


def test_several_matrices_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("GSM1_counts", "GSM2_counts"):
        write_mtx(tmp_path / f"{name}.mtx", COUNTS.T)
        write_list(tmp_path / f"{name[:4]}_genes.tsv", SYMBOLS)
        write_list(tmp_path / f"{name[:4]}_cells.tsv", CELLS)
    refused(tmp_path, "holds 2 matrices .GSM1_counts.mtx, GSM2_counts.mtx.: give the path of one")
    assert_is_truth(read(tmp_path / "GSM2_counts.mtx"))


def test_counts_and_others_of_the_same_cells_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("GSM1_raw_counts", "GSM1_matrix"):
        write_mtx(tmp_path / f"{name}.mtx", COUNTS.T)
    write_list(tmp_path / "GSM1_genes.tsv", SYMBOLS)
    write_list(tmp_path / "GSM1_cells.tsv", CELLS)
    refused(tmp_path, "holds 2 matrices")


def test_two_lists_for_one_matrix(tmp_path: Path) -> None:
    write_mtx(tmp_path / "counts.mtx", COUNTS.T)
    write_list(tmp_path / "cells.tsv", CELLS)
    for name in ("genes.tsv", "features.tsv"):
        write_list(tmp_path / name, SYMBOLS)
    refused(tmp_path, "has 2 lists for one matrix .features.tsv, genes.tsv.")


def test_a_matrix_alone(tmp_path: Path) -> None:
    path = write_mtx(tmp_path / "GSM9_x.mtx", COUNTS.T)
    said = refused(path, "has no lists of its genes and cells .found GSM9_x.mtx.")
    assert "`GSM9_x_genes.tsv` and `GSM9_x_barcodes.tsv`" in said
    with pytest.raises(CtcflowError, match="GSM9_x.mtx` has no lists"):
        read(tmp_path)
    # tables beside it are not taken for one cell each
    write(tmp_path / "notes.tsv", "EPCAM\t1\n")
    with pytest.raises(CtcflowError, match="GSM9_x.mtx` has no lists"):
        read(tmp_path)


def test_a_matrix_of_a_known_name_alone(tmp_path: Path) -> None:
    path = write_mtx(tmp_path / "c" / "count_matrix.mtx", COUNTS)
    refused(path, "has no lists of its genes and cells")
    with pytest.raises(CtcflowError, match="has no lists of its genes and cells"):
        read(path.parent)
    path = write_mtx(tmp_path / "m" / "matrix.mtx", COUNTS)
    for given in (path, path.parent):
        with pytest.raises(CtcflowError, match=r"m` has no features.tsv .found matrix.mtx."):
            read(given)


def test_the_lists_of_the_only_matrix_need_no_prefix(tmp_path: Path) -> None:
    write_mtx(tmp_path / "GSE9_all.mtx", COUNTS.T)
    write_list(tmp_path / "features.tsv", IDS, SYMBOLS)
    write_list(tmp_path / "barcodes.tsv", CELLS)
    assert_is_truth(read(tmp_path))
    write_mtx(tmp_path / "GSE9_other.mtx", COUNTS.T)
    with pytest.raises(CtcflowError, match="GSE9_all.mtx` has no lists of its genes"):
        read(tmp_path)
