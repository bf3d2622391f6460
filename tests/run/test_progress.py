"""Progress lines, for events made by hand and for a real Snakemake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctcflow.run.progress import Progress, reason_of, spoken

SOURCE = Path(__file__).parents[2] / "src"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_jobs_samples_and_time_left_are_counted(clock):
    progress = Progress(lambda: {"ingest": 10, "score": 30, "call": 20}, clock)
    said = progress.planned({"ingest": 2, "score": 2, "call": 1, "all": 1, "total": 6})
    assert said == "to do: 5 jobs (ingest 2, score 2, call 1)"
    assert Progress(dict, clock).planned({"freeze": 1, "total": 1}) == "to do: 1 job (freeze 1)"
    assert progress.begins(1, "ingest", {"sample": "a"}) is None
    clock.seconds = 20
    # 10 of 100 expected seconds took 20: what is left takes 180
    assert progress.ends(1) == (
        "done: ingest a (20 s); jobs 1 of 5, samples 0 of 2, about 3 min left"
    )
    for job, rule, sample in ((2, "ingest", "b"), (3, "score", "a"), (4, "score", "b")):
        progress.begins(job, rule, {"sample": sample})
        clock.seconds += 10
        said = progress.ends(job)
    assert said == "done: score b (10 s); jobs 4 of 5, samples 2 of 2, about 12 s left"
    assert progress.begins(5, "call", {}) == "begins: call"
    assert progress.ends(5) == "done: call (0 s); jobs 5 of 5, samples 2 of 2"


def test_seconds_of_a_submitted_job_are_those_that_it_worked(clock, tmp_path):
    timed = tmp_path / "a.tsv"
    said = {}
    for written in (None, "", "s\th:m:s\n", "h:m:s\ts\n0:00:02\t2.6\n0:00:03\t3.4\n"):
        if written is not None:
            timed.write_text(written)
        progress = Progress(dict, clock)
        progress.begins(1, "qc", {"sample": "a"}, timed=timed)
        clock.seconds += 700
        said[written] = progress.ends(1)
    # a file that cannot be read leaves the clock
    assert list(said.values()) == ["done: qc a (700 s); "] * 3 + ["done: qc a (3 s); "]


def test_a_failed_job_has_one_line_with_its_reason_and_log(clock, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("reading\nerror: `x.h5` is empty: copy it again\n")
    progress = Progress(dict, clock)
    progress.planned({"ingest": 1})
    progress.begins(1, "ingest", {"sample": "a"})
    wanted = f"failed: ingest a: `x.h5` is empty: copy it again (log: {log})"
    assert progress.fails(1, [str(log)], said="", in_group=False) == wanted
    assert progress.fails(1, [str(log)], said="", in_group=False) is None
    # tried again
    progress.begins(1, "ingest", {"sample": "a"})
    assert progress.ends(1) == "done: ingest a (0 s); jobs 1 of 1, samples 1 of 1"


def test_of_jobs_submitted_together_only_the_one_that_failed_is_named(clock, tmp_path):
    texts = {"ingest": "ingest: 151 MiB at most\n", "qc": "qc: read in 0.20 s\n"}
    progress = Progress(dict, clock)
    said = {}
    for job, rule in enumerate(("ingest", "qc", "score")):
        if rule in texts:
            (tmp_path / rule).write_text(texts[rule])
        progress.begins(job, rule, {"sample": "a"})
        log = [str(tmp_path / rule)]
        said[rule] = progress.fails(job, log, said="OUT_OF_\nMEMORY", in_group=True)
    assert said == {
        "ingest": None,
        "qc": "failed: qc a: it ended without an error of its own, killed perhaps, after"
        f" `qc: read in 0.20 s` (log: {tmp_path / 'qc'}); OUT_OF_ MEMORY",
        "score": None,
    }


def test_reasons(clock, tmp_path):
    log = tmp_path / "log"
    log.write_text("Traceback (most recent call last):\n  File\nMemoryError\n\n")
    assert reason_of([str(log)]) == f"MemoryError (log: {log})"
    log.write_text("")
    assert "killed perhaps, before its first line" in reason_of([str(log)])
    assert reason_of([str(tmp_path / "none")]) is None
    progress = Progress(dict, clock)
    progress.begins(1, "call", {})
    assert "it left no log" in progress.fails(1, [], said="", in_group=False)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (80, "80 s"), (120, "2 min"), (7200, "2.0 h")]
)
def test_seconds_are_spoken_in_a_unit_of_people(seconds, words):
    assert spoken(seconds) == words


SNAKEFILE = """
rule all:
    input: expand("out/{sample}.txt", sample=["a", "b"])

rule score:
    output: "out/{sample}.txt"
    log: "{sample}.log"
    shell: "test {wildcards.sample} = a -o -e fine || (echo 'error: b is bad' > {log}; exit 2);"
           " touch {output}"
"""


def test_snakemake_finds_the_plugin_and_says_what_is_done_and_what_failed(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)

    def run() -> tuple[int, list[str]]:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going"]
        done = subprocess.run(
            [*command, "--logger", "ctcflow"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, [line for line in done.stderr.splitlines() if line.strip()]

    code, lines = run()
    assert code == 1
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines), lines
    told = sorted(re.sub(r"\(\d+ s\)", "(s)", line[9:]) for line in lines)
    assert told[0].startswith("done: score a (s); jobs 1 of 2, samples 1 of 2, about")
    assert told[1:] == [
        f"failed: score b: b is bad (log: {tmp_path / 'b.log'})",
        "to do: 2 jobs (score 2)",
    ]
    (tmp_path / "fine").touch()
    assert run()[0] == 0
    code, lines = run()
    assert code == 0
    assert len(lines) == 1
    assert "Nothing to be done" in lines[0]
