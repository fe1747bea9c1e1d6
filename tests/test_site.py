"""The site builds without a warning, and says what the code says."""

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from filter import Config
from filter.command import build_parser

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(module) is None:
            pytest.skip("the site needs the extra docs: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_command_and_option_stands_on_its_page(site):
    page = (site / "commands.html").read_text(encoding="utf-8")
    (commands,) = (
        action.choices for action in build_parser()._actions if action.dest == "==SUPPRESS==" or action.choices
    )
    for name, parser in commands.items():
        assert f">textsieve {name}<" in page
        for option in parser._option_string_actions:
            assert option in ("-h", "--help") or f"<code>{option}</code>" in page


def test_every_field_of_config_stands_on_its_page(site):
    page = (site / "options.html").read_text(encoding="utf-8")
    for field in dataclasses.fields(Config):
        assert f"<code>{field.name}</code>" in page


def test_the_schema_is_published_as_it_is(site):
    schema = (ROOT / "filter" / "output.schema.json").read_bytes()
    version = json.loads(schema)["properties"]["schema"]["const"]
    assert (site / "schema" / f"output-{version}.json").read_bytes() == schema


def test_no_page_fetches_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"""<(?:script|img)[^>]*\ssrc=["']?https?:""", text), page.name
        assert not re.findall(r"""<link[^>]*rel=["']?stylesheet[^>]*href=["']?https?:""", text), page.name


def test_everything_that_is_made_is_there(site):
    for page in site.rglob("*.html"):
        assert "<!-- made:" not in page.read_text(encoding="utf-8"), page.name
