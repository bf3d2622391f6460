"""Finding libraries below a folder, and making a run from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcflow.errors import CtcflowError
from ctcflow.run.libraries import libraries_below
from ctcflow.run.new_sheet import SHEET_COLUMNS, add, guessed, new_run
from ctcflow.settings.config import Config, load_samples, sample_row

TEMPLATE = Path(__file__).parents[2] / "config" / "config.yaml"


def _triplet(folder: Path, prefix: str = "", genes: str = "features.tsv.gz") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("matrix.mtx.gz", genes, "barcodes.tsv.gz"):
        (folder / f"{prefix}{name}").write_bytes(b"x")


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def _cell_ranger_7(root: Path) -> None:
    for name in ("P01", "P02"):
        for kind in ("filtered", "raw"):
            _triplet(root / name / "outs" / f"{kind}_feature_bc_matrix")
            _file(root / name / "outs" / f"{kind}_feature_bc_matrix.h5")
        _file(root / name / "outs" / "web_summary.html")
        _file(root / name / "outs" / "analysis" / "clustering.csv")


def _cell_ranger_2(root: Path) -> None:
    for kind in ("filtered", "raw"):
        below = root / "old" / "outs" / f"{kind}_gene_bc_matrices" / "GRCh38"
        _triplet(below, genes="genes.tsv")


def _cell_ranger_multi(root: Path) -> None:
    for name in ("A", "B"):
        _triplet(
            root / "pool" / "outs" / "per_sample_outs" / name / "count"
            / "sample_filtered_feature_bc_matrix"
        )  # fmt: skip
    _triplet(root / "pool" / "outs" / "multi" / "count" / "raw_feature_bc_matrix")


def _starsolo(root: Path) -> None:
    for name in ("one", "two"):
        for kind in ("filtered", "raw"):
            _triplet(root / name / "Solo.out" / "Gene" / kind)
        _file(root / name / "Solo.out" / "Barcodes.stats")


def _geo(root: Path) -> None:
    for name in ("GSM1_a_", "GSM2_b_"):
        _triplet(root, prefix=name)
    _file(root / "GSM3_c_filtered_feature_bc_matrix.h5")
    _file(root / "GSM3_c_raw_feature_bc_matrix.h5")
    _file(root / "metadata.csv")


def _bare(root: Path) -> None:
    _triplet(root / "cohort" / "x y")
    _file(root / "cohort" / "deep" / "z.h5ad")
    _triplet(root / "other" / "x y")
    _file(root / "run" / "results" / "cluster" / "cohort.h5ad")
    (root / "run" / ".snakemake").mkdir()


CASES = {
    "Cell Ranger 7": (_cell_ranger_7, {"P01": "P01", "P02": "P02"}, 2),
    "Cell Ranger 2": (_cell_ranger_2, {"old": "old"}, 1),
    "Cell Ranger multi": (
        _cell_ranger_multi,
        {x: f"pool/outs/per_sample_outs/{x}" for x in "AB"},
        0,
    ),
    "STARsolo": (_starsolo, {"one": "one", "two": "two"}, 2),
    "GEO": (
        _geo,
        {
            "GSM1_a": "GSM1_a_matrix.mtx.gz",
            "GSM2_b": "GSM2_b_matrix.mtx.gz",
            "GSM3_c": "GSM3_c_filtered_feature_bc_matrix.h5",
        },
        1,
    ),
    "bare": (
        _bare,
        {"z": "cohort/deep/z.h5ad", "cohort_x_y": "cohort/x y", "other_x_y": "other/x y"},
        0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_library_is_found_once_with_a_name_and_its_droplets(tmp_path, case):
    make, wanted, with_droplets = CASES[case]
    make(tmp_path)
    found = libraries_below(tmp_path)
    assert found.left_out == []
    assert {x.name: str(x.path.relative_to(tmp_path)) for x in found.libraries} == wanted
    assert sum(x.raw_path is not None for x in found.libraries) == with_droplets
    for library in found.libraries:
        raw = str(library.raw_path)
        assert library.raw_path is None or "raw" in raw or "unfiltered" in raw


@pytest.mark.parametrize("case", CASES)
def test_the_sheet_of_what_was_found_is_one_that_a_run_takes(tmp_path, case):
    make, _, _ = CASES[case]
    make(tmp_path / "data")
    found = libraries_below(tmp_path / "data")
    sheet = new_run(tmp_path / "run", found, TEMPLATE)
    samples = load_samples(sheet, Config())
    assert [(x.sample, x.path, x.raw_path) for x in samples] == found.libraries
    assert sheet.read_text().splitlines()[0].split("\t") == list(SHEET_COLUMNS)


def test_one_library_that_is_the_folder_itself_is_named_after_it(tmp_path):
    _triplet(tmp_path / "P09" / "outs" / "filtered_feature_bc_matrix")
    (only,) = libraries_below(tmp_path / "P09").libraries
    assert (only.name, only.path) == ("P09", tmp_path / "P09")


def test_links_to_folders_are_followed_once_and_never_in_a_circle(tmp_path):
    store, links = tmp_path / "store", tmp_path / "links"
    for name in ("run7", "run8"):
        _triplet(store / name / "outs" / "filtered_feature_bc_matrix")
    _triplet(links / "P03" / "outs" / "filtered_feature_bc_matrix")
    for name, target in {"P01": "run7", "P02": "run8", "again": "run8"}.items():
        (links / name).symlink_to(store / target)
    (links / "A_latest").symlink_to(links / "P03")
    (links / "deep").mkdir()
    (links / "deep" / "up").symlink_to(links)
    found = libraries_below(links)
    assert [x.name for x in found.libraries] == ["P01", "P02", "P03"]
    assert [x.path for x in found.libraries] == [links / x.name for x in found.libraries]


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    # root may read everything: what the system says to others is put in its place
    _triplet(tmp_path / "P01" / "outs" / "filtered_feature_bc_matrix")
    (tmp_path / "private").mkdir()
    listed = Path.iterdir

    def refused(folder):
        if folder.name == "private":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refused)
    found = libraries_below(tmp_path)
    assert [x.name for x in found.libraries] == ["P01"]
    assert found.left_out == [f"`{tmp_path / 'private'}` cannot be read: Permission denied"]


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "P01" / "outs" / "filtered_feature_bc_matrix").mkdir(parents=True)
    (tmp_path / "P01" / "outs" / "filtered_feature_bc_matrix" / "matrix.mtx").write_bytes(b"x")
    found = libraries_below(tmp_path)
    assert found.libraries == []
    assert "has no features.tsv" in found.left_out[0]


def test_nothing_is_overwritten(tmp_path):
    new_run(tmp_path, libraries_below(tmp_path), TEMPLATE)
    with pytest.raises(CtcflowError, match="is there already: complete it"):
        new_run(tmp_path, libraries_below(tmp_path), TEMPLATE)


def test_a_folder_that_does_not_exist_is_one_line(tmp_path):
    with pytest.raises(CtcflowError, match="is not a folder"):
        libraries_below(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "patient", "day"),
    [
        ("P01_d28", "P01", "28"),
        ("P01-D007_L1", "P01", "7"),
        ("UKE_12_day_3", "UKE_12", "3"),
        ("P01.d0", "P01", "0"),
    ],
)
def test_a_name_may_tell_patient_and_day(name, patient, day):
    assert guessed(name) == {"patient": patient, "day": day, "guessed": "patient, day"}


@pytest.mark.parametrize("name", ["P01", "sample_d3", "CD45_neg", "d28", "P01_24", "blood_draw_1"])
def test_of_a_name_that_does_not_tell_nothing_is_guessed(name):
    assert guessed(name) == {}


def test_what_is_guessed_is_marked_and_no_part_of_the_results(tmp_path):
    _file(tmp_path / "data" / "P01_d28.h5ad")
    sheet = new_run(tmp_path / "run", libraries_below(tmp_path / "data"), TEMPLATE)
    (sample,) = load_samples(sheet, Config())
    assert (sample.patient, sample.day, sample.guessed) == ("P01", 28, "patient, day")
    assert "guessed" not in sample_row(sample)


@pytest.mark.parametrize(("delimiter", "end"), [("\t", "\n"), (",", "\r\n")])
def test_libraries_are_added_to_a_sheet_whose_own_lines_stay(tmp_path, delimiter, end):
    for name in ("H1", "P01_d0", "P01_d28"):
        _file(tmp_path / "data" / f"{name}.h5ad")
    _triplet(tmp_path / "data" / "H2" / "outs" / "filtered_feature_bc_matrix")
    sheet = tmp_path / "samples.tsv"
    lines = ["# mine", "sample,path,stage", "P01_d28,data/H1.h5ad,IV"]
    # a folder is the library that lies below it
    lines += ["x,data/H2/outs/filtered_feature_bc_matrix,"]
    sheet.write_bytes((end.join(lines) + end).replace(",", delimiter).encode())
    added = add(sheet, libraries_below(tmp_path / "data"))
    assert [x.name for x in added.libraries] == ["P01_d0", "P01_d28_2"]
    assert added.known == 2
    text = sheet.read_bytes().decode()
    assert text.count(end) == text.count("\n") == 6
    new = f"path,stage,patient,day,guessed{end}P01_d28,data/H1.h5ad,IV,,,{end}"
    assert new.replace(",", delimiter) in text
    before, *samples = load_samples(sheet, Config())
    assert (before.sample, before.patient, before.extra) == ("P01_d28", "P01_d28", {"stage": "IV"})
    assert [(x.sample, x.day) for x in samples] == [("x", None), ("P01_d0", 0), ("P01_d28_2", 28)]
    assert add(sheet, libraries_below(tmp_path / "data")).libraries == []
    assert sheet.read_bytes().decode() == text


def test_nothing_is_added_to_a_sheet_that_cannot_be_read(tmp_path):
    sheet = tmp_path / "samples.tsv"
    sheet.write_text("sample\tpath\na\n")
    with pytest.raises(CtcflowError, match="line 2: has 1 fields"):
        add(sheet, libraries_below(tmp_path))


def _parse(folder: Path) -> None:
    for name in ("count_matrix.mtx", "all_genes.csv", "cell_metadata.csv"):
        _file(folder / name)


def _kb(folder: Path) -> None:
    for end in (".mtx", ".genes.txt", ".barcodes.txt", ".genes.names.txt"):
        _file(folder / f"cells_x_genes{end}")


def _alevin_fry(folder: Path) -> None:
    for end in (".mtx", "_rows.txt", "_cols.txt"):
        _file(folder / f"quants_mat{end}")


def _others(root: Path) -> None:
    _parse(root / "parse" / "S1" / "DGE_filtered")
    _parse(root / "parse" / "S1" / "DGE_unfiltered")
    _parse(root / "parse" / "S2" / "DGE_filtered")
    for kind in ("filtered", "unfiltered"):
        _kb(root / "kb" / "K1" / f"counts_{kind}")
    _alevin_fry(root / "fry" / "F1" / "af_quant" / "alevin")
    for name in ("GSM5_counts.mtx.gz", "GSM5_cells.tsv.gz", "GSM5_genes.tsv.gz"):
        _file(root / "geo" / name)
    for name in ("V1.loom", "GSM6_x.h5.gz", "D1_counts.h5ad"):
        _file(root / "files" / name)
    _triplet(root / "star" / "T1" / "Solo.out" / "GeneFull_Ex50pAS" / "filtered")


CASES["other producers"] = (
    _others,
    {
        "S1": "parse/S1",
        "S2": "parse/S2",
        "K1": "kb/K1",
        "F1": "fry/F1/af_quant/alevin",
        "GSM5": "geo/GSM5_counts.mtx.gz",
        "V1": "files/V1.loom",
        "GSM6_x": "files/GSM6_x.h5.gz",
        "D1": "files/D1_counts.h5ad",
        "T1": "star/T1",
    },
    2,
)


def _passed_over(folder: Path) -> dict[str, str]:
    """What is said of each file or folder that is passed over, by its path in `folder`."""
    lines = [line.split("` ", 1) for line in libraries_below(folder).passed_over]
    return {str(Path(path[1:]).relative_to(folder)): why for path, why in lines}


def test_of_all_that_is_passed_over_it_is_said_why(tmp_path):
    _file(tmp_path / "a" / "P1.rds")
    _file(tmp_path / "a" / "GSE1_RAW.tar")
    _file(tmp_path / "a" / "notes.docx")
    _file(tmp_path / "b" / "one.csv")
    _file(tmp_path / "c" / "one.csv")
    _file(tmp_path / "c" / "two.csv")
    _file(tmp_path / "d" / "x.zarr" / ".zgroup")
    _file(tmp_path / "e" / "raw_feature_bc_matrix.h5")
    _kb(tmp_path / "e" / "counts_unfiltered")
    _triplet(tmp_path / "e" / "S1_RSEC_MolsPerCell_Unfiltered_MEX")
    (tmp_path / "f").mkdir()
    (tmp_path / "g" / ".snakemake").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    found = _passed_over(tmp_path)
    wanted = {
        "a/P1.rds": "is an R object: in R, ",
        "a/GSE1_RAW.tar": "is an archive: unpack it with `mkdir GSE1_RAW",
        "a/notes.docx": "is no file of counts",
        "b/one.csv": "is text: if it is a table of counts, put it into the sheet",
        "c": "holds 2 text files: put those that are tables of counts",
        "d/x.zarr": "is a Zarr folder",
        "e/raw_feature_bc_matrix.h5": "holds unfiltered droplets: give it as `raw_path`",
        "e/counts_unfiltered": "holds unfiltered droplets: give it as `raw_path`",
        "e/S1_RSEC_MolsPerCell_Unfiltered_MEX": "holds unfiltered droplets: give it as",
        "f": "is an empty folder",
        "g": "is a run of ctcflow or Snakemake",
    }
    assert found.keys() == wanted.keys()
    for path, why in wanted.items():
        assert found[path].startswith(why)
    # what cannot be counts at all comes last
    assert list(found)[-1] == "a/notes.docx"


def test_a_matrix_without_its_lists_is_left_out(tmp_path):
    _file(tmp_path / "GSM7_x.mtx.gz")
    found = libraries_below(tmp_path)
    assert (found.libraries, found.passed_over) == ([], ())
    assert "GSM7_x.mtx.gz` has no lists of its genes and cells" in found.left_out[0]


def test_ten_are_named_and_the_rest_counted(tmp_path, capsys):
    from ctcflow.cli import main

    _file(tmp_path / "data" / "P1.h5ad")
    for number in range(13):
        _file(tmp_path / "data" / f"P{number}.rds")
    main(["init", str(tmp_path / "run"), "--from", str(tmp_path / "data")])
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("passed over")]
    assert len(lines) == 11
    assert lines[-1] == "passed over: 3 more files and folders"
