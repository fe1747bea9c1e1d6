"""Feeds targets with broken input until time is up: `python -m fuzz [TARGET...] --seconds 60 --seed 1`.

With `--atheris` (pip install atheris; it looks at which lines run) one target is fuzzed by coverage instead. An input
that breaks something, or takes too long, is kept in `--findings`, and is what a case in tests/cases/fuzz is made of.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import random
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

from .mutation import broken
from .targets import TARGETS, seeds

_HANG_S = 60


def main() -> int:
    """Fuzz, and return 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all; {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--atheris", action="store_true", help="guided by coverage; one target")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            parser.error(f"no target {name!r}; there are {', '.join(TARGETS)}")
    if options.atheris:
        _with_atheris(names[0], options.seconds)
    warnings.simplefilter("error")
    return 1 if sum(_fuzz(name, options.seconds, options.seed, options.findings) for name in names) else 0


def _fuzz(name: str, seconds: float, seed: int, folder: Path) -> int:
    source, goods = random.Random(f"{name} {seed}"), list(seeds(name))
    target, found = TARGETS[name], {}
    for good in goods:
        target(good)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tries, slowest, used = 0, 0.0, 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = broken(source, goods)
        tries += 1
        path = folder / name / hashlib.sha256(data).hexdigest()[:16]
        faulthandler.dump_traceback_later(_HANG_S, exit=True)
        start = time.process_time()
        try:
            target(data)
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "fuzz" not in frame.filename]
            place = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else f"{error}"[:14]
            if place not in found:
                found[place] = str(path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                print(f"  {name}: {place}: {' '.join(str(error).split())[:150]}; {path}", flush=True)
        took = time.process_time() - start
        slowest, used = max(slowest, took), used + took
        faulthandler.cancel_dump_traceback_later()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    cost = f"{used:,.0f} s CPU, slowest {slowest:.2f} s"
    print(f"{name}: {tries:,} inputs, {len(found)} findings, {cost}, peak grew {grown:.0f} MB", flush=True)
    return len(found)


def _with_atheris(name: str, seconds: float) -> None:
    import atheris

    corpus = Path("fuzz-corpus", name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, good in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(good)
    atheris.instrument_all()
    arguments = [f"-max_total_time={seconds:.0f}", "-max_len=20000", f"-timeout={_HANG_S}", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], str(corpus), *arguments], TARGETS[name])
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    sys.exit(main())
