"""Print, after the tests, how many rows of the table were withstood of those tried, by area."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    tried, withstood = Counter[str](), Counter[str]()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            area = dict(report.user_properties).get("area")
            if area is not None:
                tried[area] += 1
                withstood[area] += outcome == "passed"
    for area in sorted(tried):
        terminalreporter.write_line(f"{area}: withstood {withstood[area]} of {tried[area]}")
    if tried:
        terminalreporter.write_line(f"all: withstood {withstood.total()} of {tried.total()}")
