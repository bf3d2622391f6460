"""Files that are not read are named in one line, with what makes them readable."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.written import refused, write

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import locate
from ctcflow.formats.known import FORMATS
from ctcflow.formats.others import _BY_ENDING, what_it_is

NAMED = {
    "P1.rds": r"an R object: in R, `DropletUtils::write10xCounts.*readRDS\(\"P1.rds\"\)",
    "P1.RData": r"an R workspace: in R, `load\(\"P1.RData\"\); DropletUtils::write10xCounts",
    "P1.rda": "an R workspace",
    "P1.Rds.gz": "an R object",
    "P1.h5Seurat": r"in R, `SeuratDisk::Convert\(\"P1.h5Seurat\", dest = \"h5ad\"\)`",
    "G1_RAW.tar": "an archive: unpack it with `mkdir G1_RAW && tar -xf G1_RAW.tar -C G1_RAW`",
    "a.tar.gz": "unpack it with `mkdir a && tar -xf a.tar.gz -C a`",
    "a.tgz": "unpack it with `mkdir a && tar -xf a.tgz -C a`",
    "S1_RSEC_MolsPerCell_MEX.zip": "unpack it with `unzip S1_.*_MEX.zip -d S1_RSEC_.*_MEX`",
    "a.csv.bz2": "packed: unpack it with `bunzip2 a.csv.bz2`",
    "a.h5ad.xz": "packed: unpack it with `unxz a.h5ad.xz`",
    "a.csv.zst": "packed: unpack it with `unzstd",
    "possorted_genome_bam.bam": "reads, not counts: count them first",
    "S1_R1_001.fastq.gz": "reads, not counts",
    "S1_R1_001.fq.gz": "reads, not counts",
    "output.bus": "reads, not counts",
    "counts.xlsx": "a spreadsheet, in which gene names such as MARCH1 become dates",
    "n.parquet": r"`python -c .*pandas.read_parquet\('n.parquet'\).to_csv\('n.csv.gz'\)",
    "counts.feather": r"pandas.read_feather\('counts.feather'\)",
    "counts.pkl": "a pickle",
    "quants_mat.gz": "alevin's binary matrix: run `salmon alevin` again with `--dumpMtx`",
    "S1_Expression_Data.st": "a long table of BD Rhapsody: give `..._RSEC_MolsPerCell.csv`",
    "cells_x_genes.nascent.mtx": "one of several matrices of kb",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_file_of_another_kind(tmp_path: Path, name: str) -> None:
    said = refused(write(tmp_path / name, "x"), NAMED[name])
    assert "{" not in said
    # a folder that holds nothing else says the same
    with pytest.raises(CtcflowError, match=NAMED[name]):
        locate(tmp_path, format=None)


def test_a_folder_of_zarr(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr" / ".zgroup", "{}")
    refused(tmp_path / "a.zarr", r"anndata.read_zarr\('a.zarr'\).write_h5ad\('a.h5ad'\)")
    with pytest.raises(CtcflowError, match=r"found a.zarr.: a.zarr is a Zarr folder"):
        locate(tmp_path, format=None)


@pytest.mark.parametrize("name", ["P1.rds", "a.tar.gz", "reads.fastq"])
def test_a_folder_with_such_a_name_is_a_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "one.tsv", "EPCAM\t1\n")
    assert locate(tmp_path / name, format=None).format == "per_cell"


def test_what_is_read_is_not_named() -> None:
    endings = [end for known in FORMATS.values() for end in known.endings]
    assert [end for end in endings if what_it_is(f"a{end}") is not None] == []
    others = [end for ends in _BY_ENDING for end in ends]
    assert len(set(others)) == len(others)
    assert not set(others) & set(endings)
    assert what_it_is("notes.docx") is None


def test_every_sentence_goes_on_after_is() -> None:
    for ends in _BY_ENDING:
        said = what_it_is(f"a{ends[0]}")
        assert said is not None
        assert said.split(" ")[0].rstrip(":,") in ("a", "an", "packed", "reads")
        assert len(said) < 250


def test_names_of_files_stand_in_what_is_said_of_them():
    for name in ("cell1_ReadsPerGene.out.tab", "a.genes.results", "x.Robj", "b.cloupe"):
        said = what_it_is(name)
        assert said is not None, name
        assert "{" not in said, said
