"""Files that are cut, overwritten, spliced and salted: every reader reads or refuses them.

`CTCFLOW_FUZZ` is the number of files per reader (`make test-fuzz`: 10,000).
"""

from __future__ import annotations

import gzip
import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.files.bundles import small
from tests.fuzz.producers import PRODUCERS

from ctcflow.files import bundle, io
from ctcflow.formats.detect import locate
from ctcflow.formats.read import read_counts
from ctcflow.simulate.cohort import SimulateParams, simulate

Change = Callable[[bytes], bytes]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = int(os.environ.get("CTCFLOW_FUZZ", "25"))
PATIENCE = 30
"""Seconds after which a reader hangs."""

SALT = [
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\t",
        b"\n",
        b"\r\n",
        b",",
        b'"',
        b"'",
        b"%",
        b"#",
    ),
    *(b"nan", b"inf", b"-1", b"1e999", b"0.5", b"0x10", b"99999999999", b"9" * 400, b"A" * 70_000),
    *(b"../", b"/etc/passwd", b"..", b"~", b"$HOME", b"CON", b"`id`", b"{sample}", b"%2e%2e%2f"),
    *(b"!!python/object/apply:os._exit [3]", b"&a [*a, *a]", b"<<: *a", b"{{", b"[[[[", b"? :"),
    *("\u202e\u0000\U0001f9ec".encode(), b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x1f\x8b\x08"),
]


class Edit(NamedTuple):
    """One change: where (share of the file), how much of it, and what comes there."""

    start: float
    length: float
    content: bytes

    def __repr__(self) -> str:
        # Hypothesis warns of an example of tens of kilobytes
        salt = f"{self.content[:40]!r} of {len(self.content)}"
        return f"Edit({self.start}, {self.length}, {salt})"

    def of(self, content: bytes) -> bytes:
        at = int(self.start * (len(content) + 1))
        return content[:at] + self.content + content[at + int(self.length * 64) :]


SHARE = st.floats(0, 1)
EDITS = st.lists(
    st.builds(Edit, SHARE, SHARE, st.sampled_from(SALT) | st.binary(max_size=12)),
    min_size=1,
    max_size=4,
)


class Reader:
    """The process that reads; started anew when it dies or hangs."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ask(self, reader: str, path: Path) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "reader.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            )
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"reader": reader, "path": str(path)}) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            # the first answer comes after its imports
            line = process.stdout.readline() if waiting.select(PATIENCE * 4) else ""
        if line:
            return dict(json.loads(line))
        died = process.poll() is not None
        self.stop()
        return {"verdict": "crashed", "text": "died" if died else "hangs"}

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    found = Reader()
    yield found
    found.stop()


FORMATS = ("10x_mtx", "10x_h5", "h5ad", "h5mu", "table", "10x_mtx_v2")
SAMPLES = ("P1_d0", "H1", "H2", "H3", "H4", "H5")
N_CELLS = 12
KINDS = {
    **{f"{name}: {file}": "counts" for name in ("10x_mtx", "10x_mtx_v2") for file in range(3)},
    **dict.fromkeys(("10x_h5", "h5ad", "h5mu", "table", "per_cell"), "counts"),
    **{f"{name}: {file}": "counts" for name, (_, n) in PRODUCERS.items() for file in range(n)},
    "config.yaml": "config",
    "cohort/config/samples.tsv": "sheet",
    "verdicts.tsv": "verdicts",
    "panels.tsv": "gene_sets",
    "panels.gmt": "gene_sets",
    "result.h5ad": "result",
    "reference.zip": "reference",
}
"""What is read, and how: a file by its name, or a format or producer (and which of its files)."""
TEXT = ("table", "per_cell", "feature_counts: 0", "umi_tools: 0", "with_metadata: 0")
WHOLE_OR_REFUSED = [kind for kind, how in KINDS.items() if how == "counts" and kind not in TEXT]
"""Counts of which a part cannot be taken for the whole: of tables it can, at the end of a line."""


class Input(NamedTuple):
    """What is given to a reader, and the file of it that is changed."""

    reader: str
    given: Path
    file: Path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, pd.DataFrame]) -> Path:
    """One of every kind that is read."""
    folder = tmp_path_factory.mktemp("whole")
    params = SimulateParams(
        n_patients=1, n_healthy=5, cells_per_sample=N_CELLS, n_genes=300, formats=FORMATS
    )
    simulate(folder / "cohort", params, tables["genes"], tables["rates"], 1)
    shutil.copy(ROOT / "config" / "defaults.yaml", folder / "config.yaml")
    panels = (ROOT / "resources" / "signatures" / "tumour_panels.tsv").read_text().splitlines()
    (folder / "panels.tsv").write_text("\n".join(panels[:40]))
    (folder / "panels.gmt").write_text("a\tnote\tEPCAM\tKRT8\nb\tnote\tPTPRC\n")
    (folder / "verdicts.tsv").write_text(
        "sample\tbarcode\tverdict\treviewer\treason\n"
        "P1_d0\tAAAC-1\tconfirm\tA\tKRT8\nH1\tAAAG-1\tveto\tB\tdoublet\n"
    )
    (folder / "per_cell").mkdir()
    for cell in range(N_CELLS):
        lines = [f"{gene}\t{cell % 3}" for gene in tables["genes"]["symbol"][:60]]
        (folder / "per_cell" / f"cell{cell:02}.tsv").write_text("\n".join(lines))
    found = read_counts(_given(folder, "h5ad"), format=None).adata
    for name, (written, _) in PRODUCERS.items():
        (folder / name).mkdir()
        written(folder / name, found)
    io.write_h5ad(folder / "result.h5ad", found, delivered=False)
    (folder / "reference.zip").write_bytes(_reference())
    return folder


def _reference() -> bytes:
    return bundle.packed(small())


def input_of(folder: Path, kind: str) -> Input:
    reader = KINDS[kind]
    if reader != "counts":
        return Input(reader, folder / kind, folder / kind)
    if kind == "per_cell":
        return Input(reader, folder / kind, folder / kind / "cell05.tsv")
    format_, _, number = kind.partition(": ")
    given = _given(folder, format_)
    return Input(reader, given, locate(given, format=None).files[int(number or 0)])


def _given(folder: Path, format_: str) -> Path:
    """The folder of a sample or a producer, or the one file in it."""
    data = folder / format_
    if format_ in FORMATS:
        data = folder / "cohort" / "data" / SAMPLES[FORMATS.index(format_)]
    files = [path for path in data.rglob("*") if path.is_file()]
    return files[0] if len(files) == 1 else data


def answer_to(reader: Reader, given: Input, change: Change, *, inside: bool) -> dict[str, Any]:
    """What the reader says of the file once it is changed; `inside` of what gzip holds."""
    whole = given.file.read_bytes()
    zipped = inside and given.file.suffix == ".gz"
    changed = change(gzip.decompress(whole) if zipped else whole)
    try:
        given.file.write_bytes(gzip.compress(changed, 1) if zipped else changed)
        return reader.ask(given.reader, given.given)
    finally:
        given.file.write_bytes(whole)


def test_what_is_whole_is_read(reader: Reader, inputs: Path) -> None:
    for kind in KINDS:
        said = answer_to(reader, input_of(inputs, kind), bytes, inside=False)
        assert said["verdict"] == "read", (kind, said)
        if KINDS[kind] == "counts":
            assert said["cells"] == N_CELLS, kind


@pytest.mark.parametrize("kind", KINDS)
def test_changed_files_are_read_or_refused(reader: Reader, inputs: Path, kind: str) -> None:
    given_input = input_of(inputs, kind)

    @settings(
        max_examples=FILES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(edits=EDITS, inside=st.booleans())
    def check(edits: list[Edit], inside: bool) -> None:
        def change(content: bytes) -> bytes:
            for edit in edits:
                content = edit.of(content)
            return content

        said = answer_to(reader, given_input, change, inside=inside)
        assert said["verdict"] in ("read", "refused"), said["text"]
        if said["verdict"] == "refused":
            assert "\n" not in said["text"]

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_of_a_file_is_taken_for_the_whole(reader: Reader, inputs: Path, kind: str) -> None:
    given_input = input_of(inputs, kind)

    @settings(max_examples=FILES, deadline=None, database=None)
    @given(share=st.floats(0, 1, exclude_max=True), inside=st.booleans())
    def check(share: float, inside: bool) -> None:
        said = answer_to(
            reader, given_input, lambda content: content[: int(share * len(content))], inside=inside
        )
        assert said["verdict"] in ("read", "refused"), said["text"]
        if said["verdict"] == "read" and kind in WHOLE_OR_REFUSED:
            assert said["cells"] == N_CELLS

    check()
