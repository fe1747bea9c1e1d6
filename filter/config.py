"""Config: every option in one frozen dataclass, read from TOML and checked once."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from .document import Policy
from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["COMMAND_TABLES", "Config", "Detector", "Extractor", "Preset", "read_toml", "unknown_option"]

COMMAND_TABLES = ("run", "explain", "evaluate", "serve", "review_page")
"""Tables of a configuration file that hold the options of one command; `review` alone is an option of the analysis."""
_LIMITS = {"page_timeout_s": "seconds", "document_timeout_s": "seconds", "max_worker_mb": "MB"}

_LISTS = {"rules", "profiles", "decisions", "languages", "keep_languages", "drop_languages"}
_TAG = re.compile("[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")

Detector = Literal["mixture", "langdetect"]
Extractor = Literal["trafilatura", "resiliparse"]
Preset = Literal["gentle", "balanced", "strict"]


@dataclass(frozen=True, slots=True)
class Config:
    """What `process` does, field by field.

    Attributes:
        policy: what is done with each label.
        preset: how much genuine text the cleaner may risk: gentle, balanced or strict.
        rules: more rule packs (TOML files), applied besides the shipped ones.
        profiles: site profiles (files that `textsieve learn` wrote), added up.
        decisions: what people decided about spans (files that `textsieve review --export` wrote); the last word.
        detector: what identifies languages: the mixture of three detectors, or langdetect alone (slower, seeded).
        languages: the only languages that texts can be in, as ISO 639 codes; empty for all that the detector knows.
        keep_languages: parts in other languages than these are dropped; `zh` stands for `zh-Hant` too.
        drop_languages: parts in these languages are dropped.
        min_part_chars: shorter parts are dropped.
        second_opinion: whether each part says what langdetect thinks of its language.
        review: whether sections that are not suspicious enough for a flag, but more so than 99 % of genuine ones, are
            listed for people to look at.
        measures: whether each part comes with the numbers of `filter.quality`.
        extractor: what the main text of HTML is judged by besides the page itself: trafilatura and resiliparse, or
            `resiliparse`: neither, but where the page says nothing (several times faster, a little less precise).
        page_timeout_s: a page of HTML that takes longer is rejected; None for no limit.
        max_html_bytes: a larger page is rejected; text that is no longer bytes counts as UTF-8.
        max_text_chars: a longer text is rejected rather than processed.
        batch_chars: how much text `process_many` gathers before it works on it; memory grows with it.
        document_timeout_s: a document that takes longer is set aside, and so is, in the end, one that takes a worker
            more than `max_worker_mb` of memory (10**6 bytes); None for no limit. Only worker processes have limits.

    Raises:
        ConfigError: a value is out of range.
    """

    policy: Policy = field(default_factory=Policy)
    preset: Preset = "balanced"
    rules: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    detector: Detector = "mixture"
    languages: tuple[str, ...] = ()
    keep_languages: tuple[str, ...] = ()
    drop_languages: tuple[str, ...] = ()
    min_part_chars: int = 0
    second_opinion: bool = False
    review: bool = False
    measures: bool = False
    extractor: Extractor = "trafilatura"
    page_timeout_s: float | None = 30.0
    max_html_bytes: int = 10_000_000
    max_text_chars: int = 20_000_000
    batch_chars: int = 1_000_000
    document_timeout_s: float | None = 120.0
    max_worker_mb: int | None = 4000

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            raise ConfigError(f"policy = {self.policy!r}: use a Policy, or Config.from_mapping, which makes one of it")
        for name in _LISTS:
            if isinstance(getattr(self, name), str):
                raise ConfigError(f"{name} = {getattr(self, name)!r}: use a tuple of such")
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a list would not go into a cache
        choices_of = {"preset": Preset, "detector": Detector, "extractor": Extractor}
        for name, choices in ((name, get_args(choice)) for name, choice in choices_of.items()):
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: use one of {', '.join(choices)}")
        for name, least in (("max_html_bytes", 1), ("max_text_chars", 1), ("batch_chars", 1), ("min_part_chars", 0)):
            number = getattr(self, name)
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: use a whole number, {least} or more")
        for name, unit in _LIMITS.items():
            limit = getattr(self, name)
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0):
                raise ConfigError(f"{name} = {limit!r}: use a number of {unit} above 0")
        for name in ("second_opinion", "review", "measures"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} = {getattr(self, name)!r}: use true or false")
        for name in ("languages", "keep_languages", "drop_languages"):
            tags = getattr(self, name)
            wrong = [tag for tag in tags if not isinstance(tag, str) or not _TAG.fullmatch(tag)]
            if wrong:
                raise ConfigError(
                    f"{name}: {wrong[0]!r} is none; use a list of language tags such as en, pt or zh-Hant"
                )

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any], where: str = "options") -> Config:
        """Return the Config that a mapping of options describes.

        Args:
            options: field names and values; `policy` is a mapping from label to action.
            where: what to call the mapping in an error.

        Raises:
            ConfigError: an option is unknown or its value is out of range.

        >>> Config.from_mapping({"preset": "gentle", "policy": {"spam": "strip"}}).policy.spam
        'strip'
        """
        known = {f.name for f in fields(cls)}
        values = dict(options)
        for name in values:
            if name not in known:
                raise unknown_option(name, known, where)
        # TOML has no word for None.
        values.update({name: None for name in _LIMITS.keys() & values.keys() if values[name] is False})
        try:
            if "policy" in values:
                values["policy"] = _policy(values["policy"], where)
            for name in sorted(_LISTS & values.keys()):
                if isinstance(values[name], str):
                    raise ConfigError(f"{where}: {name} is a list; write {name} = [{values[name]!r}]")
                values[name] = tuple(values[name])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{where}: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") if not str(error).startswith(where) else error from None

    @classmethod
    def from_toml(cls, path: str | Path) -> Config:
        """Return the Config in a TOML file; its tables for commands, such as `[run]`, are left to the command line.

        Raises:
            ConfigError: the file cannot be read, is not TOML, or holds an unknown option.
        """
        options = read_toml(path)
        return cls.from_mapping({k: v for k, v in options.items() if k not in COMMAND_TABLES}, where=str(path))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return what is in a TOML file.

    Raises:
        ConfigError: the file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except (ValueError, RecursionError) as error:  # besides its own error: bytes, numbers without end, deep nesting
        raise ConfigError(f"{path}: not TOML in UTF-8: {error}; correct that line") from error


def unknown_option(name: str, known: Iterable[str], where: str) -> ConfigError:
    """Return the error for an option that there is not, with the one that may be meant."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
    return ConfigError(f"{where}: unknown option {name!r}; {hint}")


def _policy(actions: Any, where: str) -> Policy:
    if isinstance(actions, Policy):
        return actions
    if not isinstance(actions, Mapping):
        raise ConfigError(f'{where}: policy maps labels to actions, for example spam = "strip"')
    unknown = set(actions) - set(Policy.__slots__)
    if unknown:
        raise ConfigError(
            f"{where}: policy has no label {sorted(unknown)[0]!r}; known are {', '.join(Policy.__slots__)}"
        )
    return Policy(**actions)
