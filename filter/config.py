"""Config: every option in one frozen dataclass, read from TOML and checked once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from .document import Policy
from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Config", "Detector", "Preset"]

Detector = Literal["mixture", "langdetect"]
Preset = Literal["gentle", "balanced", "strict"]


@dataclass(frozen=True, slots=True)
class Config:
    """What `process` does, field by field.

    Attributes:
        policy: what is done with each label.
        preset: how much genuine text the cleaner may risk: gentle, balanced or strict.
        rules: more rule packs (TOML files), applied besides the shipped ones.
        profiles: site profiles (files that `textsieve learn` wrote), added up.
        detector: what identifies languages: the mixture of three detectors, or langdetect alone (slower, seeded).
        max_text_chars: a longer text is rejected rather than processed.
        batch_chars: how much text `process_many` gathers before it works on it; memory grows with it.

    Raises:
        ConfigError: a value is out of range.
    """

    policy: Policy = field(default_factory=Policy)
    preset: Preset = "balanced"
    rules: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    detector: Detector = "mixture"
    max_text_chars: int = 20_000_000
    batch_chars: int = 1_000_000

    def __post_init__(self) -> None:
        for name, choices in (("preset", get_args(Preset)), ("detector", get_args(Detector))):
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: use one of {', '.join(choices)}")
        for name in ("max_text_chars", "batch_chars"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: use a whole number above 0")

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
                raise ConfigError(f"{where}: unknown option {name!r}; known are {', '.join(sorted(known))}")
        try:
            if "policy" in values:
                values["policy"] = _policy(values["policy"], where)
            for name in {"rules", "profiles"} & values.keys():
                values[name] = tuple(values[name])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{where}: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") if not str(error).startswith(where) else error from None

    @classmethod
    def from_toml(cls, path: str | Path) -> Config:
        """Return the Config in a TOML file.

        Raises:
            ConfigError: the file cannot be read, is not TOML, or holds an unknown option.
        """
        try:
            options = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the name") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not TOML in UTF-8: {error}; correct that line") from error
        return cls.from_mapping(options, where=str(path))


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
