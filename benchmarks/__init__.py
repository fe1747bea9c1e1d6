"""Measurements that anyone with the labelled data can run; see run.py and throughput.py."""

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shared_dir() -> Path:
    """Return the folder with the labelled data (`data/`) and the scripts that score (`eval/`)."""
    return Path(os.environ.get("TEXTSIEVE_DATA", ROOT.parent / "shared"))


def labelled(name: str) -> Path:
    """Return the folder of labelled data that `--data` names.

    Raises:
        argparse.ArgumentTypeError: it is not there.
    """
    if not (Path(name) / "clean").is_dir():
        raise argparse.ArgumentTypeError(f"{name} holds no labelled data, which are not part of this project")
    return Path(name)
