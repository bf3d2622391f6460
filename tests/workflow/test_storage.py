"""Input and results on S3: the same bytes, and no secret left behind.

Needs Snakemake's plugin and a server: `make test-s3` installs both.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

PLUGIN = os.environ.get("CTCFLOW_S3_PLUGIN", "")
SECRET = "not-to-be-seen-anywhere"
PREFIX = "s3://results/run"


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[dict[str, str], object]]:
    """Environment of a user of a server with two buckets, and a client of it."""
    if not PLUGIN:
        pytest.skip("no S3 here: `make test-s3` brings one up")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": PLUGIN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    sys.path.insert(0, PLUGIN)
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="me",
        aws_secret_access_key=SECRET,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            client.list_buckets()
            break
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    for bucket in ("lab", "results"):
        client.create_bucket(Bucket=bucket)
    # in the environment: what stands on the command line ends in the logs
    yield (
        {
            "PYTHONPATH": PLUGIN,
            "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": address,
            "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "me",
            "SNAKEMAKE_STORAGE_S3_SECRET_KEY": SECRET,
        },
        client,
    )
    sys.path.remove(PLUGIN)
    server.terminate()
    server.wait()


@pytest.fixture
def stored(s3, sheet) -> pd.DataFrame:
    """The sheet with addresses for paths, and the files there."""
    table = sheet.copy()
    for column in ("path", "raw_path"):
        for row, given in enumerate(sheet[column]):
            path = Path(given)
            for file in [path] if path.is_file() else sorted(path.iterdir()):
                key = f"{sheet['sample'][row]}/{file.relative_to(path.parent)}"
                s3[1].upload_file(str(file), "lab", key)
            table.loc[row, column] = f"s3://lab/{sheet['sample'][row]}/{path.name}"
    return table


def test_input_and_results_on_s3(s3, stored, new_run, tmp_path, ctcflow, finished):
    variables, client = s3
    run = new_run(tmp_path / "run", stored)
    options = ("--default-storage-provider", "s3", "--default-storage-prefix", PREFIX)
    ran = ctcflow(run, "run", str(run), "--cores", "2", "--", *options, **variables)
    assert ran.code == 0, ran.text
    print(f"three samples of 120 cells on S3: {ran.seconds:.0f} s")
    assert not (run / "results").exists()
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="results"):
        for entry in page["Contents"]:
            content = client.get_object(Bucket="results", Key=entry["Key"])["Body"].read()
            found[entry["Key"].removeprefix("run/")] = content
    whole = {
        str(path.relative_to(finished)): path.read_bytes()
        for path in (finished / "results").rglob("*")
        # digests stand beside files on disks; a storage has its own
        if path.is_file() and ".digests" not in path.parts
        if not path.is_relative_to(finished / "results" / "provenance")
    }
    made = {name: content for name, content in found.items() if name.startswith("results/")}
    assert sorted(made) == sorted(whole)
    assert [name for name in whole if made[name] != whole[name]] == []
    texts = [path.read_bytes() for path in run.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in text for text in (*texts, *found.values()))
    again = ctcflow(run, "run", str(run), "--cores", "2", "--", *options, **variables)
    assert again.code == 0, again.text
    assert "Nothing to be done" in again.text


def test_an_address_without_the_plugin_is_one_line(sheet, new_run, tmp_path, snakemake):
    table = sheet.assign(path=[f"s3://lab/{name}.h5" for name in sheet["sample"]], raw_path="")
    dry = snakemake(new_run(tmp_path / "run", table), "-n")
    assert dry.code != 0
    assert len(dry.errors) == 1
    assert "install Snakemake's plugin" in dry.errors[0]
    assert "Traceback" not in dry.text
