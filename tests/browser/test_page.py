"""Reports in a real browser: Chromium of Debian, without a network.

`make test-page` installs it where it is not there. Screenshots are kept in CTCFLOW_SCREENSHOTS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ctcflow.settings.review import load_verdicts

ROOT = Path(__file__).parents[2]
BROWSER = os.environ.get("CTCFLOW_BROWSER", "")
"""Folder of the packages that drive a browser; empty where there is none."""
WIDE, NARROW = (1440, 900), (390, 844)
COHORTS = {
    "demo": {"empty_droplets": 1000, "cells_per_sample": 400, "n_healthy": 1},
    "no_ctc": {"ctc_rate": 0, "aggregate_rate": 0, "n_patients": 1, "cells_per_sample": 300},
    "ten_cells": {"n_patients": 1, "n_healthy": 0, "cells_per_sample": 10},
}

pytestmark = pytest.mark.skipif(
    not BROWSER, reason="no browser here: `make test-page` installs Chromium"
)
if BROWSER:
    sys.path.append(BROWSER)


def simulated(folder: Path, params: dict[str, Any]) -> Path:
    """A finished run of a simulated cohort."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = json.dumps(params | {"n_genes": 3000})
    for command in (
        ["ctcflow", "simulate", str(folder), "--params", given],
        ["snakemake", "--quiet", "--directory", str(folder), "--cores", "2"],
    ):
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": path}, check=True)
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("runs")
    return {name: simulated(base / name, params) for name, params in COHORTS.items()}


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def driver(downloads: Path) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--disable-background-networking",
        "--disable-component-update",
    ):
        options.add_argument(argument)
    options.binary_location = "/usr/bin/chromium"
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()


@pytest.fixture
def opened(driver: Any, runs: dict[str, Path]) -> Iterator[Callable[..., Any]]:
    """`opened(name, size)`: a report in the browser; its requests and errors are checked after."""

    def open_(name: str, size: tuple[int, int] = WIDE) -> Any:
        driver.set_window_size(*size)
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False},
        )
        driver.get((runs[name] / "results" / "report" / "report.html").as_uri())
        settle(driver)
        return driver

    driver.get_log("performance"), driver.get_log("browser")
    yield open_
    events = [json.loads(row["message"])["message"] for row in driver.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked, "the log of requests is empty"
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}, asked
    assert [row for row in driver.get_log("browser") if row["level"] == "SEVERE"] == []


def settle(driver: Any, seconds: float = 60) -> None:
    """Go to the map, which is drawn when it comes near, and wait for it."""
    driver.execute_script("document.getElementById('explorer')?.scrollIntoView()")
    ready = """return document.readyState === "complete"
        && (!document.getElementById("explorer")
            || document.querySelector("#explorer-legend li") !== null);"""
    end = time.monotonic() + seconds
    while not driver.execute_script(ready):
        assert time.monotonic() < end, f"no map after {seconds} s"
        time.sleep(0.1)


def choose(driver: Any, control: str, shown: str) -> None:
    """Choose an option with the keyboard: to the first one, then down."""
    from selenium.webdriver.common.keys import Keys

    field = driver.find_element("id", control)
    names = [option.text for option in field.find_elements("css selector", "option")]
    field.send_keys(Keys.HOME, *[Keys.DOWN] * names.index(shown))
    picked = field.get_property("selectedOptions")[0].text
    assert picked == shown


def status(driver: Any) -> str:
    return str(driver.find_element("id", "explorer-status").text)


def drawn(driver: Any) -> int:
    """Cells that the map's filters let through, as BokehJS has them."""
    return int(
        driver.execute_script(
            """const doc = Bokeh.documents[Bokeh.documents.length - 1];
            return ["cells", "uncertain", "CTC aggregate", "CTC"].reduce((sum, name) =>
              sum + doc.get_model_by_name(`${name} filter`).booleans.filter(Boolean).length, 0);"""
        )
    )


def screenshot(driver: Any, name: str) -> None:
    folder = os.environ.get("CTCFLOW_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(folder) / f"{name}.png"))


def called(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "results" / "call" / "ctc.tsv", sep="\t")


def test_the_answer_is_the_truth_of_the_simulation(
    opened: Callable[..., Any], runs: dict[str, Path]
) -> None:
    truth = pd.read_csv(runs["demo"] / "truth.tsv", sep="\t")
    sheet = pd.read_csv(runs["demo"] / "config" / "samples.tsv", sep="\t")
    planted = truth[truth["is_ctc"]]
    wanted = planted.groupby("sample").size()
    # a mesenchymal tumour cell may be a fibroblast, which is no CTC
    least = planted[planted["phenotype"] != "mesenchymal"].groupby("sample").size()
    driver = opened("demo")
    rows = driver.execute_script(
        """return [...document.querySelectorAll("#answer table")[0].tBodies[0].rows]
             .map((row) => [...row.cells].map((cell) => cell.textContent));"""
    )
    patients = sheet[sheet["role"] == "patient"]
    assert len(rows) == len(patients)
    for row, (_, sample) in zip(rows, patients.iterrows(), strict=True):
        assert row[0] == sample["patient"]
        shown = int(re.match(r"\d+", row[3])[0])
        assert least[sample["sample"]] <= shown <= wanted[sample["sample"]]


def test_a_search_finds_a_barcode_in_the_table_and_on_the_map(
    opened: Callable[..., Any], runs: dict[str, Path]
) -> None:
    cell = called(runs["demo"]).query("`class` == 'CTC'").iloc[0]
    driver = opened("demo")
    driver.find_element("css selector", "#calls label.find input").send_keys(cell["barcode"])
    shown = driver.execute_script(
        """return [...document.querySelectorAll("#calls table.search tbody tr")]
             .filter((row) => !row.hidden).map((row) => row.textContent);"""
    )
    assert len(shown) == 1 and cell["barcode"] in shown[0]
    driver.find_element("id", "explorer-find").send_keys(cell["barcode"])
    assert status(driver).startswith(f"{cell['barcode']}: CTC,")
    assert cell["sample"] in status(driver)
    ring = "Bokeh.documents[0].get_model_by_name('found').data.x.length"
    assert driver.execute_script(f"return {ring}") == 1


def test_a_click_on_a_sample_filters_the_map(
    opened: Callable[..., Any], runs: dict[str, Path]
) -> None:
    cells = pd.read_csv(runs["demo"] / "results" / "call" / "cells.tsv.gz", sep="\t")
    sizes = cells["sample"].value_counts()
    driver = opened("demo")
    assert drawn(driver) == len(cells)
    before = driver.find_element("id", "explorer-plot").screenshot_as_png
    choose(driver, "explorer-colour", "Sample")
    buttons = driver.find_elements("css selector", "#explorer-legend button")
    named = {button.text.partition(" (")[0]: button for button in buttons}
    assert set(named) == set(sizes.index)
    one = sizes.index[0]
    named[one].click()
    assert drawn(driver) == sizes[one]
    assert status(driver) == f"{sizes[one]:,} of {len(cells):,} cells"
    assert named[one].get_attribute("aria-pressed") == "true"
    assert driver.find_element("id", "explorer-plot").screenshot_as_png != before
    screenshot(driver, "demo-map-of-one-sample")
    named[one].click()
    assert drawn(driver) == len(cells)
    choose(driver, "explorer-sample", one)
    assert drawn(driver) == sizes[one]


def test_every_column_can_be_coloured(opened: Callable[..., Any]) -> None:
    driver = opened("demo")
    options = driver.find_elements("css selector", "#explorer-colour option")
    titles = [option.text for option in options]
    assert {"Class", "Sample", "Cell type", "Tumour panel genes seen"} <= set(titles)
    seen = set()
    for title in titles:
        choose(driver, "explorer-colour", title)
        seen.add(driver.find_element("id", "explorer-legend").text)
    assert len(seen) == len(titles)


def test_verdicts_are_saved_as_the_run_reads_them(
    opened: Callable[..., Any], runs: dict[str, Path], downloads: Path
) -> None:
    driver = opened("demo")
    card = driver.find_element("css selector", ".card")
    sample, barcode = (card.get_attribute(f"data-{name}") for name in ("sample", "barcode"))
    save = driver.find_element("id", "save")
    said = driver.find_element("id", "save-status")
    driver.execute_script("arguments[0].scrollIntoView()", save)
    save.click()
    assert said.text == "No verdict is given yet"
    card.find_element("css selector", ".verdict").send_keys("veto")
    save.click()
    assert barcode in said.text
    card.find_element("css selector", ".reason").send_keys("a keratinocyte of the needle")
    save.click()
    assert said.text == "Say who reviews"
    driver.find_element("id", "reviewer").send_keys("RW")
    save.click()
    path = downloads / "verdicts.tsv"
    end = time.monotonic() + 10
    while not path.is_file():
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.1)
    (verdict,) = load_verdicts(path, [sample])
    assert verdict == (sample, barcode, "veto", "RW", "a keratinocyte of the needle")


def test_no_call_looks_like_a_result(opened: Callable[..., Any], runs: dict[str, Path]) -> None:
    assert not called(runs["no_ctc"])["class"].isin(["CTC", "CTC aggregate"]).any()
    driver = opened("no_ctc")
    words = driver.find_element("css selector", "#answer .answer").text
    assert "No CTC was called" in words and "That is a result" in words
    screenshot(driver, "no-ctc")


def test_ten_cells_are_a_report(opened: Callable[..., Any], runs: dict[str, Path]) -> None:
    samples = pd.read_csv(runs["ten_cells"] / "results" / "call" / "samples.tsv", sep="\t")
    driver = opened("ten_cells")
    heads = driver.find_elements("css selector", "#answer table thead th")
    place = [head.text for head in heads].index("Cells examined")
    (row,) = driver.find_elements("css selector", "#answer table tbody tr")
    shown = row.find_elements("css selector", "th, td")[place].text
    assert shown == str(samples["cells"].iloc[0]) and 0 < int(shown) <= 10
    screenshot(driver, "ten-cells")


@pytest.mark.parametrize("name", list(COHORTS))
def test_nothing_serious_is_inaccessible(opened: Callable[..., Any], name: str) -> None:
    from axe_selenium_python import Axe

    driver = opened(name)
    axe = Axe(driver)
    axe.inject()
    found = axe.run()["violations"]
    serious = {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]][:3]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }
    assert serious == {}


@pytest.mark.parametrize(("width", "size"), [("wide", WIDE), ("narrow", NARROW)])
def test_the_page_fits_the_screen(
    opened: Callable[..., Any], width: str, size: tuple[int, int]
) -> None:
    driver = opened("demo", size)
    scrolled = driver.execute_script("return document.documentElement.scrollWidth")
    assert scrolled <= size[0]
    if size == WIDE:  # what is to be kept in mind must not be beyond an edge
        box = "document.querySelector('#answer .box')"
        assert driver.execute_script(f"return {box}.scrollWidth <= {box}.clientWidth")
    for part in ("answer", "calls", "map", "quality"):
        driver.execute_script("document.getElementById(arguments[0]).scrollIntoView()", part)
        time.sleep(0.3)
        screenshot(driver, f"demo-{part}-{width}")
