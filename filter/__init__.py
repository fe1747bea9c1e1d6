"""Clean, classify and split scraped articles, with a cause for every removal and nothing lost."""

from .config import Config
from .document import Document, Part, Policy, Record, Span, Verdict
from .pipeline import process, process_many

__all__ = ["Config", "Document", "Part", "Policy", "Record", "Span", "Verdict", "process", "process_many"]
__version__ = "0.1.0"
