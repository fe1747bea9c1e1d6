"""How sure the section model must be on one site, learned from what people decided there.

The model's own limit spares genuine text of any kind, and so misses much. Where people have looked at enough of what it
judged on a site, the limit moves to where their decisions say it belongs, for the pages of that site.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .clean import clean
from .config import Config
from .document import Document
from .errors import ConfigError, UsageError
from .evaluation import GoldDocument, GoldSpan, read_gold
from .language import split_languages
from .profiles import host_of
from .section_model import SectionModel
from .sections import Judged, mark_sections
from .segment import segment

__all__ = ["Decided", "decided_sections", "limit_for", "site_limits"]

MIN_DECIDED = 10
"""Of fewer decided stretches nothing is learned."""
MIN_COVERED = 0.7
FALSE_WEIGHT = 10.0
"""A genuine character that is flagged counts for so many that are missed."""
MAX_STEP = 5.0
"""How far, in log odds, a limit moves at most."""


class Decided(NamedTuple):
    """A stretch that the model judged and that people decided on: log odds, whether it is filler, characters."""

    odds: float
    is_filler: bool
    chars: int


def limit_for(decided: Sequence[Decided], usual: float) -> float:
    """Return the log odds from which filler is flagged on a site.

    It is where least is wrong among what was decided, the nearest to the usual one of several; the usual one, if too
    little was.

    >>> limit_for([Decided(2.0, True, 300), Decided(0.5, False, 300)] * 10, usual=4.0)
    2.0
    >>> limit_for([Decided(2.0, True, 300)], usual=4.0)
    4.0
    """
    if len(decided) < MIN_DECIDED:
        return usual
    # Just above what is genuine, or at what is filler: between two of these, nothing changes.
    limits = {usual, *(d.odds if d.is_filler else d.odds + 0.01 for d in decided)}
    near = [limit for limit in limits if abs(limit - usual) <= MAX_STEP]
    return min(near, key=lambda limit: (_cost(decided, limit), abs(limit - usual), limit))


def _cost(decided: Sequence[Decided], limit: float) -> float:
    missed = sum(d.chars for d in decided if d.is_filler and d.odds < limit)
    return missed + FALSE_WEIGHT * sum(d.chars for d in decided if not d.is_filler and d.odds >= limit)


def decided_sections(
    golds: Sequence[GoldDocument], model: SectionModel, config: Config
) -> dict[tuple[str, str], list[Decided]]:
    """Return, by site and language, what the model judges in reviewed documents and people decided on."""
    documents = [segment(Document(gold.text, url=gold.url)) for gold in golds]
    judged: list[Judged] = []
    mark_sections(split_languages(clean(documents, config), config), model, judged=judged)
    found: dict[tuple[str, str], list[Decided]] = defaultdict(list)
    for section in judged:
        filler, genuine = _covered(section, golds[section.document].spans)
        if filler + genuine >= MIN_COVERED * (section.end - section.start):
            decided = Decided(section.odds, filler > genuine, filler + genuine)
            found[host_of(documents[section.document]), section.lang].append(decided)
    return found


def _covered(section: Judged, spans: Iterable[GoldSpan]) -> tuple[int, int]:
    filler = genuine = 0
    for span in spans:
        chars = max(0, min(span.end, section.end) - max(span.start, section.start))
        # What was decided to be boilerplate or spam says nothing of filler.
        filler += chars * (span.label == "ai_padding")
        genuine += chars * (span.label == "content")
    return filler, genuine


@lru_cache(maxsize=4)
def site_limits(config: Config) -> Mapping[str, Mapping[str, float]]:
    """Return the limits of each site that differ from the model's, by language; read once per process.

    Raises:
        ConfigError: a file in `config.decisions` cannot be read.
    """
    from .sections import _model

    try:
        golds = [gold for path in config.decisions for gold in read_gold(Path(path))]
    except UsageError as error:
        raise ConfigError(str(error)) from error
    model = _model()
    limits: dict[str, dict[str, float]] = defaultdict(dict)
    # Only what was decided to be one or the other can teach anything.
    golds = [gold for gold in golds if gold.url and any(s.label in ("ai_padding", "content") for s in gold.spans)]
    for (site, lang), decided in decided_sections(golds, model, config).items():
        usual = model.settings["threshold"][lang]
        limit = limit_for(decided, usual)
        if site and limit != usual:
            limits[site][lang] = limit
    return dict(limits)
