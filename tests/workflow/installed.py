"""An environment with ctcflow installed from its wheel, outside of any checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]


def built(folder: Path, target: str, *, root: Path = ROOT) -> Path:
    """Build the `wheel` or the `sdist` of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (path,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return path


def environment_with(wheel: Path, folder: Path) -> Path:
    """Install a wheel into an environment of its own; what it needs is taken from this one.

    Returns
    -------
    The folder of its commands.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *options, str(wheel)], check=True)
    # folders that are named here are searched last, and the checkout's own link is not followed
    packages = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent
