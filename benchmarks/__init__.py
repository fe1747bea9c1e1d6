"""Measurements that anyone with the labelled data can run; see run.py and throughput.py."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shared_dir() -> Path:
    """Return the folder with the labelled data (`data/`) and the scripts that score (`eval/`)."""
    return Path(os.environ.get("TEXTSIEVE_DATA", ROOT.parent / "shared"))
