"""Entry of `python -m ctcflow`."""

from __future__ import annotations

import sys

from ctcflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
