"""Text of others: what is a formula or a command is refused where it is read, and nothing else."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.files.shipped import shipped
from ctcflow.files.tables import SHIPPED
from ctcflow.formats.read import read_counts
from ctcflow.run.libraries import libraries_below
from ctcflow.run.new_sheet import add, guessed, new_run
from ctcflow.settings.config import Config, load_samples
from ctcflow.settings.review import load_verdicts
from ctcflow.settings.sample import is_name
from ctcflow.untrusted import MOST, first_refused, why_refused

BAD = (
    *("=HYPERLINK(1)", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", " =1+1"),
    *("-SUM(A1)", "\uff1dSUM(1)"),
    *("a\x1b[31mred", "a\x00b", "a\x07", "abc\u202ecba", "x\u2066y", "a\x9b31m", "x" * (MOST + 1)),
)
GOOD = (
    *("CD8+", "+ve", "-a", "--no_feature", "KRT8", "HLA-A", "anti-CD3 (UCHT1)", "CD3-", "-1"),
    *("-0.5", "+3", "-1e-3", "-", "+", "", "a=b", "AAAC-1", "7", "c@d", "TCRγδ"),
    *("β2-microglobulin", "Müller", "naïve", "MT-ND1"),
    *("陽性", "100 %", "a/b", "a b", "#1", "(none)", "'quoted'", "NKX2-1", "$x", "*", "-inf"),
)
GENES = ["ACTB", "EPCAM", "PTPRC", "CD3D", "KRT8", "GAPDH"]


@pytest.mark.parametrize("text", BAD)
def test_what_is_a_command_is_refused(text: str) -> None:
    assert why_refused(text)
    assert first_refused(["a", text]) == (1, why_refused(text))


@pytest.mark.parametrize("text", GOOD)
def test_what_people_write_is_not(text: str) -> None:
    assert why_refused(text) == ""
    assert first_refused([text, text]) == (-1, "")


def test_nothing_that_is_shipped_is_refused() -> None:
    for file in SHIPPED.values():
        table = io.read_table(shipped("resources") / file)
        for column in table:
            assert first_refused(table[column].dropna()) == (-1, ""), (file, column)


def _genes() -> pd.DataFrame:
    return io.read_table(shipped("resources") / SHIPPED["genes"])


def counts(path: Path, **changed: object) -> Path:
    adata = anndata.AnnData(sparse.csr_matrix(np.ones((6, 6), dtype=np.int32)))
    adata.obs_names = pd.Index(changed.get("cells", [f"AAAC-{k}" for k in range(6)]), dtype=object)
    adata.var_names = pd.Index(changed.get("genes", GENES), dtype=object)
    adata.var["gene_ids"] = changed.get("ids", ["ENSG00000075624"] * 6)
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("text", [text for text in BAD if "\x00" not in text])
@pytest.mark.parametrize("what", ["cells", "genes", "ids"])
def test_names_in_count_files_are_looked_at(tmp_path: Path, what: str, text: str) -> None:
    path = counts(tmp_path / "a.h5ad", **{what: [*GENES[:5], text]})
    with pytest.raises(CtcflowError, match="6 is named") as said:
        read_counts(path, format=None)
    assert "\x1b" not in str(said.value)
    assert len(str(said.value)) < 500


def test_names_in_text_and_10x_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",=c1,c2\n" + "".join(f"{gene},1,2\n" for gene in GENES))
    with pytest.raises(CtcflowError, match="cell 1 is named '=c1'"):
        read_counts(tmp_path / "a.csv", format="table", genes=_genes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"] = np.ones(6, int), np.arange(6)
        group["indptr"], group["shape"] = np.array([0, 6]), np.array([6, 1])
        group["barcodes"] = [b"@AAA"]
        group["features/name"] = [gene.encode() for gene in GENES]
        group["features/id"] = [b"ENSG00000075624"] * 6
        group["features/feature_type"] = [b"Gene Expression"] * 6
    with pytest.raises(CtcflowError, match="cell 1 is named '@AAA'"):
        read_counts(tmp_path / "a.h5", format=None)


def _sheet(tmp_path: Path, header: str, row: str) -> Path:
    counts(tmp_path / "a.h5ad")
    (tmp_path / "s.tsv").write_text(f"sample\tpath\t{header}\nA\ta.h5ad\t{row}\n")
    return tmp_path / "s.tsv"


@pytest.mark.parametrize("text", [t for t in BAD if "\x00" not in t])
@pytest.mark.parametrize("column", ["mine", "condition", "patient", "batch", "cancer_type"])
def test_cells_of_the_sheet_are_looked_at(tmp_path: Path, column: str, text: str) -> None:
    with pytest.raises(CtcflowError, match=f"line 2: {column} is"):
        load_samples(_sheet(tmp_path, column, text), Config())


@pytest.mark.parametrize("text", GOOD)
def test_cells_that_people_write_are_kept(tmp_path: Path, text: str) -> None:
    (sample,) = load_samples(_sheet(tmp_path, "mine", text), Config())
    assert sample.extra == ({"mine": text} if text else {})


def test_names_of_columns_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(CtcflowError, match="column 3 is named '=mine'"):
        load_samples(_sheet(tmp_path, "=mine", "x"), Config())


@pytest.mark.parametrize("column", ["barcode", "reviewer", "reason"])
def test_verdicts_are_looked_at(tmp_path: Path, column: str) -> None:
    row = {"sample": "A", "barcode": "AAAC", "verdict": "veto", "reviewer": "B", "reason": "c"}
    row |= {column: "=cmd", "other": "=kept as it is not used"}
    path = tmp_path / "v.tsv"
    path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    with pytest.raises(CtcflowError, match=f"line 2: {column} is '=cmd': a spreadsheet"):
        load_verdicts(path, ["A"])


@pytest.mark.parametrize("column", ["set", "gene"])
@pytest.mark.parametrize("ending", ["tsv", "gmt"])
def test_gene_sets_are_looked_at(tmp_path: Path, column: str, ending: str) -> None:
    row = {"set": "panel", "gene": "EPCAM"} | {column: "=cmd"}
    path = tmp_path / f"p.{ending}"
    path.write_text(
        f"{row['set']}\tnote\t{row['gene']}\n"
        if ending == "gmt"
        else f"set\tgene\tdirection\n{row['set']}\t{row['gene']}\t1\n"
    )
    with pytest.raises(CtcflowError, match=f"row 1 has {column} '=cmd'"):
        io.read_gene_sets(path)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_compressed_gene_sets_are_not_unpacked(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"p.tsv.{kind}"
    table = pd.DataFrame({"set": ["a"], "gene": ["EPCAM"], "direction": [1]})
    table.to_csv(path, sep="\t", index=False)
    with pytest.raises(CtcflowError, match="is compressed: unpack it"):
        io.read_gene_sets(path)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path):
        with pytest.raises(CtcflowError):
            io.read_gene_sets(path)
        with pytest.raises(CtcflowError):
            load_samples(path, Config())
    large = tmp_path / "large.tsv"
    with large.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(CtcflowError, match=r"1,000,000,000,000 bytes"):
        io.read_gene_sets(large)
    with pytest.raises(CtcflowError, match=r"1,000,000,000,000 bytes"):
        load_samples(large, Config())


def test_messages_command_no_terminal() -> None:
    said = CtcflowError("`a\x1b]0;title\x07b\u202e` is\nwrong", ["x\x1b[2J"])
    assert str(said) == "`a\\x1b]0;title\\x07b\\u202e` is wrong"
    assert said.each == ["x\\x1b[2J"]


# ---- init


NAMES = (
    "NA",
    "null",
    "n.a",
    "nan",
    "-x",
    "..",
    "a b",
    "=cmd",
    "ä",
    "x" * 100,
    "P1\x1b[1m",
    "_",
    "a.",
)


def test_init_writes_what_check_accepts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in NAMES:
        if name != "..":
            (data / name).mkdir(parents=True)
            counts(data / name / "counts.h5ad")
    for k in range(12):
        (data / f"{'y' * 100}{k}").mkdir()
        counts(data / f"{'y' * 100}{k}" / "counts.h5ad")
    found = libraries_below(data)
    assert len(found.libraries) == len(NAMES) - 2 + 12
    assert ["control character" in line for line in found.left_out] == [True]
    assert all(is_name(library.name) for library in found.libraries)
    sheet = new_run(tmp_path / "run", found, shipped("config") / "config.yaml")
    assert len(load_samples(sheet, Config())) == len(found.libraries)


@pytest.mark.parametrize("name", ["end ", "tab\there", "line\nend", "bad\udcff"])
def test_init_leaves_out_what_a_sheet_cannot_hold(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    counts(tmp_path / "data" / "A.h5ad")
    (tmp_path / "data" / "A.h5ad").rename(tmp_path / "data" / f"{name}.h5ad")
    counts(tmp_path / "data" / "B.h5ad")
    (tmp_path / "data" / name).mkdir()
    counts(tmp_path / "b.h5ad").rename(tmp_path / "data" / name / "counts.h5ad")
    found = libraries_below(tmp_path / "data")
    sheet = new_run(tmp_path / "run", found, shipped("config") / "config.yaml")
    assert "B" in {sample.sample for sample in load_samples(sheet, Config())}


def test_names_that_are_added_stay_within_the_limit(tmp_path: Path) -> None:
    (tmp_path / "one" / ("z" * 64)).mkdir(parents=True)
    (tmp_path / "two" / ("z" * 64)).mkdir(parents=True)
    counts(tmp_path / "one" / ("z" * 64) / "counts.h5ad")
    counts(tmp_path / "two" / ("z" * 64) / "counts.h5ad")
    found = libraries_below(tmp_path / "one")
    sheet = new_run(tmp_path / "run", found, shipped("config") / "config.yaml")
    added = add(sheet, libraries_below(tmp_path / "two"))
    assert [len(library.name) for library in added.libraries] == [64]
    assert len(load_samples(sheet, Config())) == 2


def test_no_patient_is_guessed_that_check_refuses() -> None:
    assert guessed("NA_d3") == {}
    assert guessed("P1_d3")["patient"] == "P1"


# ---- lengths


def test_a_gene_name_of_a_million_letters_is_refused_at_once(tmp_path: Path) -> None:
    path = counts(tmp_path / "a.h5ad", genes=[*GENES[:5], "A" * 1_000_000])
    with pytest.raises(CtcflowError, match="1,000,000 characters"):
        read_counts(path, format=None, genes=_genes())


@pytest.mark.parametrize("sample", ["A", "B"])
def test_many_verdicts_are_read_in_seconds(tmp_path: Path, sample: str) -> None:
    path = tmp_path / "v.tsv"
    lines = (f"{sample}\tC{k}\tveto\tme\tseen\n" for k in range(100_000))
    path.write_text("sample\tbarcode\tverdict\treviewer\treason\n" + "".join(lines))
    if sample == "A":
        assert len(load_verdicts(path, [*map(str, range(1000)), "A"])) == 100_000
    else:
        with pytest.raises(CtcflowError):
            load_verdicts(path, [*map(str, range(1000)), "A"])
