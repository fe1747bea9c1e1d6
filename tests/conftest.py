import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes says more about what else the machine does than about the code.
settings.register_profile("textsieve", deadline=None)
settings.load_profile("textsieve")

# A job in the background is started with Ctrl-C ignored, and so would be what the tests start in order to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


def cases(name: str) -> Iterator[object]:
    """Yield the rows of tests/cases/<name> as parameters: each has an id that reads like a sentence."""
    for line in (ROOT / "tests" / "cases" / name).read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        reason = case.get("known_failure")
        marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
        yield pytest.param(case, id=case["id"], marks=marks)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of labelled data, which is not part of the project; tests that need it are skipped without it."""
    folder = Path(os.environ.get("TEXTSIEVE_DATA", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no labelled data in {folder}; name its folder in TEXTSIEVE_DATA")
    return folder
