"""What the documentation says is what happens: examples run, commands parse, named files exist."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from filter.command import build_parser

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    (page.name, line)
    for page in PAGES
    for line in re.findall(r"^(textsieve .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_run(page):
    failures, _ = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert failures == 0


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line[:50]}" for page, line in COMMANDS])
def test_commands_in_the_documentation_parse(page, line):
    build_parser().parse_args(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_help_names_every_command_and_every_command_has_help():
    helped = subprocess.run([sys.executable, "-m", "filter", "--help"], capture_output=True, text=True, check=True)
    named = set(re.findall(r"^textsieve (\w+)", "\n".join(line for _, line in COMMANDS), re.MULTILINE))
    assert named
    for name in named:
        assert re.search(rf"\b{name}\b", helped.stdout)
        subprocess.run([sys.executable, "-m", "filter", name, "--help"], capture_output=True, check=True)


def test_importing_and_help_load_nothing_heavy():
    code = (
        "import sys, filter, filter.command; filter.command.build_parser();"
        "print(sorted({'numpy', 'sklearn', 'scipy', 'trafilatura', 'pycld2', 'fasttext', 're2'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
