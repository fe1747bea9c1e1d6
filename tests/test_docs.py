"""What the documentation says is what happens: examples run, commands parse, named files exist."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from filter.command import build_parser

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
_BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COMMANDS = [
    (page.name, line)
    for page in PAGES
    for kind, _, body in _BLOCK.findall(page.read_text(encoding="utf-8"))
    if kind in ("", "sh")
    for line in re.findall(r"^(textsieve .*)$", body, re.MULTILINE)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_run(page):
    failures, _ = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert failures == 0


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line[:50]}" for page, line in COMMANDS])
def test_commands_in_the_documentation_parse(page, line):
    command = re.split(r" (?:[|<>]|2>|\|\|) ", line)[0]
    parse = build_parser().parse_args
    arguments = shlex.split(command, comments=True)[1:]
    if {"--help", "--version"} & set(arguments):
        with pytest.raises(SystemExit) as ended:
            parse(arguments)
        assert ended.value.code == 0
    else:
        parse(arguments)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_a_tutorial_followed_to_the_letter_does_what_it_says(page, tmp_path):
    """Files with a title are written, `sh` is run, and `text` right after it is what that prints."""
    for name in ("seeds", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    # The command of this checkout, under the name that readers type.
    (tmp_path / "bin").mkdir()
    for name, arguments in (("textsieve", "-m filter"), ("python", "")):
        wrapper = tmp_path / "bin" / name
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    checker = doctest.OutputChecker()
    printed = None
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    assert any(kind == "sh" for kind, _, _ in blocks)
    for kind, title, body in blocks:
        if title:
            (tmp_path / title).write_text(body, encoding="utf-8")
        elif kind == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", body],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, f"{body}\n{done.stdout}"
            printed = done.stdout
        elif kind == "text" and printed is not None:
            options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert checker.check_output(body, printed, options), f"{page.name} says\n{body}\nbut it is\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_help_names_every_command_and_every_command_has_help():
    helped = subprocess.run([sys.executable, "-m", "filter", "--help"], capture_output=True, text=True, check=True)
    named = set(re.findall(r"^textsieve ([a-z]\w+)", "\n".join(line for _, line in COMMANDS), re.MULTILINE))
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


@pytest.mark.parametrize("name", ["throughput", "rules"])
def test_benchmark_without_its_data_says_so(name, tmp_path):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--data", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 2 and "holds no labelled data, which are not part of this project" in ran.stderr
