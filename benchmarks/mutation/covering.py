"""Which tests run which lines of the package, and how long they take: a pytest plugin.

    PYTHONPATH=. pytest -p benchmarks.mutation.covering --lines-to FILE tests/stats

`coverage` tells lines of tests apart at many times this cost, and not those of shared fixtures.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

_TOOL = sys.monitoring.COVERAGE_ID
_WATCHED = tuple(f"/ctcflow/{room}/" for room in ("stats", "evidence", "steps"))


class Recorder:
    """Lines of each test; those of a fixture that is shared belong to each test that has it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: set[tuple[str, int]] = set()
        self.of_fixtures: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self.seconds_of_fixtures: dict[str, float] = defaultdict(float)
        self.seconds = 0.0
        self.tests: dict[str, dict[str, Any]] = {}
        sys.monitoring.use_tool_id(_TOOL, "ctcflow mutation")
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.LINE, self._line)
        sys.monitoring.set_events(_TOOL, sys.monitoring.events.LINE)

    def _line(self, code: CodeType, line: int) -> object:
        name = code.co_filename
        if any(room in name for room in _WATCHED) and code.co_name != "<module>":
            self.lines.add((name.rpartition("/ctcflow/")[2], line))
        return sys.monitoring.DISABLE  # once per test is enough

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        name = f"{fixturedef.baseid}:{fixturedef.argname}"
        before, self.lines = self.lines, set()
        seconds_before, self.seconds = self.seconds, 0.0
        sys.monitoring.restart_events()
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            # a fixture may ask for others, which then come within it
            whole = time.perf_counter() - start
            self.seconds_of_fixtures[name] += whole - self.seconds
            self.seconds = seconds_before + whole
            self.of_fixtures[name] |= self.lines
            self.lines = before
            sys.monitoring.restart_events()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        self.lines, self.seconds = set(), 0.0
        self.tests[item.nodeid] = {"passed": False}
        sys.monitoring.restart_events()
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            seconds = time.perf_counter() - start - self.seconds
            info = getattr(item, "_fixtureinfo", None)
            shared = {
                name: self.seconds_of_fixtures[name]
                for defined in (info.name2fixturedefs.values() if info else ())
                for name in (f"{fixture.baseid}:{fixture.argname}" for fixture in defined)
                if name in self.seconds_of_fixtures
            }
            for name in shared:
                self.lines |= self.of_fixtures[name]
            self.tests[item.nodeid] |= {"seconds": seconds, "fixtures": shared}
            self.tests[item.nodeid] |= {"lines": sorted(self.lines)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.tests[report.nodeid]["passed"] = report.passed

    def pytest_sessionfinish(self) -> None:
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)
        self.file.write_text(json.dumps(self.tests))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lines-to", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config.getoption("--lines-to")))
