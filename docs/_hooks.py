"""Makes what the site says from what the project is: commands, options, schema, model cards, sections of the README.

A page names what it wants with a line `<!-- made: NAME -->`. Links are written as they work in the repository; those to
files that are no part of the site become plain text.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

import griffe
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from filter import command, document  # noqa: E402

# Pages that are kept elsewhere, by their place in the site.
KEPT = {f"models/{card.name}": card for card in sorted((ROOT / "models").glob("*.md"))} | {
    "changelog.md": ROOT / "CHANGELOG.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
}
SCHEMA = ROOT / "filter" / "output.schema.json"
_MADE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put pages that the navigation does not name at the end of the how-tos, so that none is out of reach."""
    named = set(re.findall(r"'([\w/-]+\.md)'", repr(config.nav)))
    pages = {path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir).rglob("*.md")} | set(KEPT)
    section = next(part["How to"] for part in config.nav if "How to" in part)
    section.extend(sorted(pages - named))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are kept elsewhere, and the schema."""
    for uri, path in KEPT.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    files.append(File.generated(config, _published(), abs_src_path=str(SCHEMA)))
    return files


def _published() -> str:
    version = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]["schema"]["const"]
    return f"schema/output-{version}.json"


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:
    """Fill in what is made, and lead links to where things are in the site."""
    uri = page.file.src_uri
    markdown = _follow(markdown, uri, KEPT.get(uri, ROOT / "docs" / uri), files)

    def make(match: re.Match[str]) -> str:
        if match[1] not in MAKERS:
            raise PluginError(f"{uri}: nothing is made by the name of {match[1]}; known are {', '.join(MAKERS)}")
        # What comes from the README has links that start there.
        return _follow(MAKERS[match[1]](), uri, ROOT / "README.md", files)

    return _MADE.sub(make, markdown)


def _follow(markdown: str, uri: str, origin: Path, files: Any) -> str:
    places = {path: kept for kept, path in KEPT.items()} | {SCHEMA: _published()}

    def follow(match: re.Match[str]) -> str:
        image, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        path = (origin.parent / target).resolve()
        place = places.get(path)
        if place is None and path.is_relative_to(ROOT / "docs"):
            place = path.relative_to(ROOT / "docs").as_posix()
        if place is None or (files.get_file_from_path(place) is None and path.exists()):
            return text
        return f"{image}[{text}]({posixpath.relpath(place, posixpath.dirname(uri) or '.')}{anchor})"

    return _LINK.sub(follow, markdown)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def commands() -> str:
    """Return every command with its usage and options, from the parser itself."""
    parser = command.build_parser()
    (choices,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parts = [str(parser.epilog).capitalize() + "."]
    for name, sub in choices.choices.items():
        usage = sub.format_usage().removeprefix("usage: ").strip()
        parts += [f"## textsieve {name}", str(sub.description), f"```text\n{usage}\n```"]
        rows = []
        for group in sub._action_groups:
            for action in group._group_actions:
                if isinstance(action, argparse._HelpAction):
                    continue
                called = ", ".join(f"`{option}`" for option in action.option_strings)
                if action.nargs != 0 and (value := sub._get_formatter()._format_args(action, action.dest)):
                    called = f"{called} `{value}`".strip()
                rows.append(f"| {called.replace('|', chr(92) + '|')} | {_cell(action.help or '')} |")
        parts.append("\n".join(["| | |", "| --- | --- |", *rows]) if rows else "It has no options.")
    return "\n\n".join(parts)


def options() -> str:
    """Return the fields of Config with type, default and sense, from the class itself."""
    described = griffe.load("filter.config", search_paths=[str(ROOT)])["Config"]
    (attributes,) = (part.value for part in described.docstring.parse("google") if part.kind.value == "attributes")
    senses = {attribute.name: attribute.description for attribute in attributes}
    rows = ["| option | type | default | sense |", "| --- | --- | --- | --- |"]
    for name, member in described.members.items():
        if member.is_attribute and name in senses:
            default = "see below" if name == "policy" else f"`{member.value}`"
            rows.append(f"| `{name}` | `{_cell(str(member.annotation))}` | {default} | {_cell(senses[name])} |")
    return "\n".join(rows)


def labels() -> str:
    """Return the labels, what is done with them by default, and the categories, from the module that defines them."""
    policy = document.Policy()
    rows = ["| label | by default |", "| --- | --- |", "| `content` | `keep` |"]
    rows += [f"| `{label}` | `{getattr(policy, label)}` |" for label in policy.__slots__]
    return "\n".join(rows)


def schema() -> str:
    """Return the fields of an output record, from its JSON Schema."""
    found = json.loads(SCHEMA.read_text(encoding="utf-8"))

    def table(node: dict[str, Any]) -> str:
        rows = ["| field | type | always there | sense |", "| --- | --- | --- | --- |"]
        for name, field in node["properties"].items():
            field = found["$defs"][field["$ref"].rpartition("/")[2]] | field if "$ref" in field else field
            kind = field.get("type", "one of " + ", ".join(map(str, field.get("enum", [field.get("const")]))))
            kind = " or ".join(kind) if isinstance(kind, list) else kind
            there = "yes" if name in node.get("required", ()) else ""
            rows.append(f"| `{name}` | {kind} | {there} | {_cell(field.get('description', ''))} |")
        return "\n".join(rows)

    parts = [found["description"], table(found)]
    for name, node in found["$defs"].items():
        if "properties" in node:
            parts += [f"### {name}", table(node)]
    return "\n\n".join(parts)


def _section(title: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    if found is None:
        raise PluginError(f"README.md has no section {title!r}, which a page of the site is made from")
    return found[1].strip()


MAKERS = {
    "commands": commands,
    "options": options,
    "labels": labels,
    "schema": schema,
    "reaches": lambda: _section("What it reaches"),
    "limits": lambda: _section("What it cannot do"),
}
