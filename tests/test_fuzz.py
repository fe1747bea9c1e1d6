"""A short run of what fuzz/ does at length, with the same inputs each time; and every input that once broke something.

A longer one: python -m fuzz --seconds 600 --seed 2
"""

import random
from pathlib import Path

import pytest

from fuzz.mutation import broken
from fuzz.targets import TARGETS, seeds

CASES = Path(__file__).parent / "cases" / "fuzz"
# Pages and texts go through the whole pipeline, which takes its time.
TRIES = {"html": 6, "text": 20, "rules": 20}


@pytest.mark.parametrize("name", TARGETS)
def test_broken_input_is_used_or_refused_in_one_line(name):
    source, goods = random.Random(name), list(seeds(name))
    for good in goods:
        TARGETS[name](good)
    for _ in range(TRIES.get(name, 60)):
        TARGETS[name](broken(source, goods))


@pytest.mark.parametrize("path", sorted(CASES.glob("*/*")), ids=lambda path: f"{path.parent.name}, {path.name}")
def test_what_once_broke_something(path):
    TARGETS[path.parent.name](path.read_bytes())


def test_every_case_has_a_target():
    assert {path.name for path in CASES.iterdir()} <= TARGETS.keys()


def test_the_same_seed_breaks_inputs_in_the_same_way():
    first, second = (
        [broken(source, [b"a b", b'{"c": 1}']) for _ in range(50)] for source in map(random.Random, (1, 1))
    )
    assert first == second and len(set(first)) > 20
