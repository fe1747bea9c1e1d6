"""The exception tree: every error the package raises on purpose.

TextsieveError            anything below; the command line prints its one line and chooses the exit code
├── ConfigError           an option or configuration file that cannot be used          (exit 2)
│   └── RuleError         a rule pack that cannot be used                              (exit 2)
├── UsageError            inputs and outputs that do not fit together                  (exit 2)
├── InputError            one input record that cannot be used; it is set aside        (exit 1)
└── ModelError            a file under models/ that is missing, altered or unreadable  (exit 2)
"""

from __future__ import annotations

__all__ = ["ConfigError", "InputError", "ModelError", "RuleError", "TextsieveError", "UsageError"]


class TextsieveError(Exception):
    r"""Base of the package's own errors; its text is one line that names the input, the place and the remedy.

    Names of files and the words of parsers may hold anything: what a terminal would obey, or show in another place
    than it stands in, is escaped.

    >>> str(TextsieveError("a\x1b[2J\n\u202e.txt: no such file; check the name"))
    'a\\x1b[2J\\n\\u202e.txt: no such file; check the name'
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in super().__str__())


class ConfigError(TextsieveError):
    """An option or a configuration file cannot be used."""


class RuleError(ConfigError):
    """A rule pack cannot be used."""


class UsageError(TextsieveError):
    """The inputs and outputs that were named do not fit together."""


class InputError(TextsieveError):
    """One input record cannot be used.

    Args:
        reason: what is wrong, in one line.
        path: the file it stands in, or "-" for standard input.
        line: the 1-based line of that file, where it has lines.
        remedy: what to do about it, in one line.
    """

    def __init__(self, reason: str, *, path: str = "", line: int | None = None, remedy: str = "") -> None:
        self.reason = reason
        self.path = path
        self.line = line
        self.remedy = remedy
        place = f"{path}:{line}" if line is not None else path
        super().__init__(": ".join(part for part in (place, reason) if part) + (f"; {remedy}" if remedy else ""))


class ModelError(TextsieveError):
    """A file under models/ is missing, was altered or cannot be read."""
