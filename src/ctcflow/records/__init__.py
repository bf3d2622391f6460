"""Records that steps leave in `uns` for other steps and the report: one module per step.

They are JSON in the files and typed dictionaries in the code: mypy checks each field, and a file of
an older version that lacks a field can still be read. For a wrong name `record.get("x")` is of
type `object`, which is no error by itself: the value must meet a narrower type (`numbers.Value`).
"""
