"""Placeholder while the stage is written."""

from __future__ import annotations

from collections.abc import Sequence

from .config import Config
from .document import Document

__all__ = ["split_languages"]


def split_languages(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents unchanged."""
    return list(documents)
