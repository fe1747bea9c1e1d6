"""The lock files name what pyproject.toml asks for, with hashes, from no index in particular."""

import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ["3.10.0", "3.11.0", "3.12.0", "3.13.0"]


def locked(name):
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("build.lock", PROJECT["build-system"]["requires"]),
        ("dev.lock", PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]),
    ],
)
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_has_what_the_project_asks_for(name, wanted, python):
    environment = {"python_version": python.rpartition(".")[0], "python_full_version": python, "sys_platform": "linux"}
    there = {}
    for line in locked(name):
        pin = Requirement(line.partition(" --hash")[0])
        if pin.marker is None or pin.marker.evaluate(environment):
            assert there.setdefault(canonicalize_name(pin.name), pin.specifier) == pin.specifier
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pins = list(there.get(canonicalize_name(requirement.name), ()))
            assert len(pins) == 1, f"{requirement} is not in {name}; run make lock"
            assert requirement.specifier.contains(pins[0].version), f"{name} has {pins[0]} for {requirement}"


@pytest.mark.parametrize("name", ["build.lock", "dev.lock"])
def test_every_pin_has_hashes_and_no_address(name):
    pin = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+( ; [^#]*?)?( +--hash=sha256:[0-9a-f]{64})+")
    lines = locked(name)
    assert lines and not [line for line in lines if not pin.fullmatch(line)]
