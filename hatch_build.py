"""Makes the manual page from the command line's own parser while the wheel is built."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ENDING = re.compile(r"^\.(?!(TH|SH|SS|TP|RS|RE|PP|B|I|nf|fi|br|sp|UR|UE)\b)", re.MULTILINE)


class ManualHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts share/man/man1/textsieve.1 into the wheel; an editable install goes without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the page to a file that is gone after the build, and say where it belongs."""
        if self.target_name != "wheel" or version == "editable":
            return
        self.folder = tempfile.TemporaryDirectory()
        page = Path(self.folder.name) / "textsieve.1"
        page.write_text(manual(self.root), encoding="utf-8")
        build_data["shared_data"][str(page)] = "share/man/man1/textsieve.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the file."""
        if folder := getattr(self, "folder", None):
            folder.cleanup()


def manual(root: str) -> str:
    """Return the manual page, in the language of man."""
    from argparse_manpage.manpage import Manpage

    sys.path.insert(0, root)
    try:
        from filter import __version__
        from filter.command import build_parser
    finally:
        sys.path.remove(root)
    page = Manpage(build_parser(), format="single-commands-section")
    # No date: the same sources give the same wheel.
    page.source, page.manual, page.date = f"textsieve {__version__}", "textsieve", ""
    page.description = "clean, classify and split scraped articles"
    # A wrapped line that begins with the name of an ending, such as .html, is no command to man.
    return _ENDING.sub(r"\\&\g<0>", str(page))
