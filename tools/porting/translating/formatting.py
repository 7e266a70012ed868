"""The ported file's layout, by ruff where it is installed."""

from __future__ import annotations

import subprocess
import sys

WIDTH = 100  # columns of a ported file


def formatted(text: str) -> str:
    """Returns: the text with the layout that ruff gives it; as it is, where ruff is not installed."""
    ruff = [sys.executable, "-m", "ruff"]
    try:
        sort = [
            *ruff,
            "check",
            "--quiet",
            "--isolated",
            "--select",
            "I,F401,E714,UP034",
            "--fix",
            "--stdin-filename",
            "ported.py",
            "-",
        ]
        done = subprocess.run(sort, input=text, capture_output=True, text=True, timeout=60, check=False)
        text = done.stdout or text
        layout = [
            *ruff,
            "format",
            "--quiet",
            "--isolated",
            "--line-length",
            str(WIDTH),
            "--stdin-filename",
            "ported.py",
            "-",
        ]
        done = subprocess.run(layout, input=text, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return text
    return done.stdout if done.returncode == 0 and done.stdout else text
