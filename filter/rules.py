"""Loads rule packs and matches them against lines.

A pack is a TOML file of word lists and rules; docs/rules.md describes it. Each rule says in `why` what it finds, and
proves it with `hits` (lines it must find) and `misses` (prose with the same words that no rule may find). Matching is
linear in the text whatever a rule says: every pattern runs in RE2.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import re2

from .document import CATEGORIES, LABELS, Label
from .errors import RuleError
from .folding import GLUED, MAX_CHARS, WIDE, fold, fold_lines, strip_marks, word_count
from .matching import options, search_set
from .openings import Openings
from .padding import Kind, Phrases

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Case", "Match", "Rule", "Rules", "check", "load_packs"]

PACKS = Path(__file__).resolve().parent / "packs"
FAMILIES = PACKS / "families.toml"
FILLER = PACKS / "filler"

MAX_AMBIGUOUS_CHARS = 10
"""A longer line must be in the script of the rule's language; with kana it is Japanese, without Chinese."""

MAX_MIB = 256
"""Memory for the automaton of a pattern."""

MIN_KINDS = 3
"""How many kinds of stock phrase make a section filler, unless its rule says otherwise."""

MIN_FUNCTION_WORDS = 3
"""How many function words of one language a line holds before it is no longer read as another one."""

_KANA = re.compile(r"[\u3040-\u30ff]")
_SCRIPTS = {
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "ja": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]"),
    "ko": re.compile(r"[\uac00-\ud7a3]"),
    "zh": re.compile(r"[\u4e00-\u9fff]"),
}
_ESCAPE = re.compile(r"(\\[pP](?:\{\^?\w+\}|\w)|\\x\{\w+\}|\\.|\[:\^?\w+:\])", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z][a-z_-]*)\}")
_GAP = " .. "
_ENDING = re.compile(r"(?<![.\]])\*")


class Case(NamedTuple):
    """One way a rule can hold: all of `needs` are found, none of `unless`, and the line is within the limits.

    `needs` and `unless` are numbers of patterns in `Rules`; a weak case counts only beside other hits.
    """

    needs: tuple[int, ...]
    unless: tuple[int, ...]
    min_words: float
    max_words: float
    max_chars: int
    weak: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its proof.

    Attributes:
        id, pack: together its name in `source`.
        label, category, lang: what it marks, and the language it reads; `lang` is empty for rules of no language.
        score: how sure a hit is, in [0, 1].
        why: what it finds and what spares prose, in words.
        hits: lines that it must find.
        misses: lines that no rule may find.
        where: file and line it stands in.
    """

    id: str
    pack: str
    label: Label
    category: str
    lang: str
    score: float
    why: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    where: str

    @property
    def source(self) -> str:
        """The rule's name as it appears in a span's `source`."""
        return f"rule:{self.pack}/{self.id}"


class Match(NamedTuple):
    """A rule that holds for a line; a weak one counts only beside other hits."""

    rule: Rule
    weak: bool


class Rules:
    """Compiled rules, in the order in which they are tried; `load_packs` makes them.

    >>> rules = load_packs()
    >>> [match.rule.source if match else None for match in rules.match(["Accept all cookies", "She ate two cookies."])]
    ['rule:en/consent', None]
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        cases: Sequence[Sequence[Case]],
        patterns: Sequence[str],
        speech: _Speech,
        kinds: Sequence[Sequence[Kind]],
        filler: Collection[str] = (),
    ) -> None:
        self.rules = tuple(rules)
        self._kinds: dict[str, list[Kind]] = {}
        for rule, own in zip(rules, kinds, strict=True):
            self._kinds.setdefault(rule.lang, []).extend(own)
        self._filler = filler
        self._phrases: dict[str, Phrases | None] = {}
        self._numbers = {rule.source: number for number, rule in enumerate(self.rules)}
        self._cases = cases
        self._patterns = tuple(patterns)
        self._speech = speech
        self._compiled: dict[int, Any] = {}
        self._topics: dict[int, Any] = {}
        # A case is looked at only when its first pattern was found, so that only first patterns run on every line.
        self._triggered: dict[int, list[tuple[int, Case]]] = {}
        for number, ways in enumerate(cases):
            for case in ways:
                self._triggered.setdefault(case.needs[0], []).append((number, case))
        # What no line of more blanks can hold need not be looked for in it: a word has one before it.
        self._max_words = {
            number: max(case.max_words for _, case in triggered) for number, triggered in self._triggered.items()
        }
        self._openings = Openings({number: self._patterns[number] for number in self._triggered})

    def _finds(self, number: int, text: bytes) -> bool:
        found = self._compiled.get(number)
        if found is None:
            found = self._compiled[number] = _compiled(self._patterns[number])
        return bool(found.Match(text))

    def match(self, lines: Sequence[str]) -> list[Match | None]:
        """Return for each line the first rule that holds, or None.

        A rule that holds by itself goes before one that holds weakly. Lines over MAX_CHARS code points match nothing.
        """
        readings = [_variants(text) for text in fold_lines(lines)]
        # Second readings stand behind all first ones, and one look serves both.
        second = [i for i, variants in enumerate(readings) if len(variants) > 1]
        texts = [variants[0] for variants in readings] + [readings[i][1] for i in second]
        holds = {i: self._hold(texts[i], triggers) for i, triggers in self._triggers(texts).items()}
        for at, i in enumerate(second, len(readings)):
            # They count where the first reading has nothing that holds by itself.
            if at in holds and all(weak for _, weak in holds.get(i, ())):
                holds[i] = holds.get(i, []) + holds[at]
        matches: list[Match | None] = [None] * len(readings)
        for i, found in holds.items():
            if found and i < len(readings):
                number, weak = min(found, key=lambda hold: (hold[1], hold[0]))
                matches[i] = Match(self.rules[number], weak)
        return matches

    def _triggers(self, texts: Sequence[str]) -> dict[int, list[int]]:
        """Return for each folded line that has any the first patterns of cases that are found in it.

        Patterns that only count in a line of fewer words are left out.
        """
        found: dict[int, list[int]] = {}
        joined = "\n".join(["", *texts, ""]).encode()
        lines = joined[1:-1].split(b"\n")
        words = [line.count(b" ") - 1 for line in lines]
        for i, number in zip(*(column.tolist() for column in self._openings.candidates(joined)), strict=True):
            if words[i] <= self._max_words[number] and self._finds(number, lines[i]):
                found.setdefault(i, []).append(number)
        for number in self._openings.unknown:
            for i, line in enumerate(lines):
                if line and self._finds(number, line):
                    found.setdefault(i, []).append(number)
        return found

    def phrases(self, lang: str) -> Phrases | None:
        """Return the stock phrases of filler in a language, None where there are none; loaded when first asked for.

        >>> found = load_packs().phrases("en").find([["Experts agree it is too early to say. Stay tuned for updates!"]])
        >>> found[0][0].source
        'rule:en/stock-phrases'
        """
        if lang not in self._phrases:
            kinds = [*self._kinds.get(lang, ()), *(_filler(lang) if lang in self._filler else ())]
            self._phrases[lang] = Phrases(kinds, lang) if kinds else None
        return self._phrases[lang]

    def mentions(self, rule: Rule, folded: str) -> bool:
        """Return whether a folded text has a word that the rule looks for first, such as `newsletter`.

        >>> rules = load_packs()
        >>> newsletter = next(rule for rule in rules.rules if rule.source == "rule:en/newsletter")
        >>> rules.mentions(newsletter, fold("Most newsletters are never opened."))
        True
        """
        number = self._numbers[rule.source]
        if number not in self._topics:
            first = {self._patterns[case.needs[0]] for case in self._cases[number]}
            words = sorted(pattern for pattern in first if not pattern.startswith("^"))
            self._topics[number] = _compiled("|".join(words)) if words else None
        topic = self._topics[number]
        return topic is not None and bool(topic.Match(folded.encode()))

    def matching(self, line: str) -> list[Rule]:
        """Return every rule that holds for a line, for checking rules; much slower than `match`."""
        texts = _variants(fold_lines([line])[0])
        found = [self._hold(texts[i], triggers) for i, triggers in self._triggers(texts).items()]
        numbers = {number for holds in found for number, _ in holds}
        every = [phrases.find([[line]])[0] for lang in self._kinds if (phrases := self.phrases(lang))]
        # A shipped rule of filler has a number only where all are loaded.
        numbers |= {self._numbers[one.source] for sections in every for one in sections if one.source in self._numbers}
        return [self.rules[number] for number in sorted(numbers)]

    def _hold(self, text: str, triggers: Sequence[int]) -> list[tuple[int, bool]]:
        """Return the number of each rule that holds for a folded line with these first patterns, and whether weakly."""
        if not triggers:
            return []
        words, letters = word_count(text), text.encode()
        holds: dict[int, bool] = {}
        known: dict[int, bool] = {}

        def found(pattern: int) -> bool:
            if pattern not in known:
                known[pattern] = self._finds(pattern, letters)
            return known[pattern]

        for trigger in triggers:
            for number, case in self._triggered[trigger]:
                if (
                    case.min_words <= words <= case.max_words
                    and len(text) - 2 <= case.max_chars
                    and all(map(found, case.needs[1:]))
                    and not any(map(found, case.unless))
                    and self._speech.plausible(self.rules[number].lang, text)
                ):
                    holds[number] = holds.get(number, True) and case.weak
        return list(holds.items())


def _compiled(pattern: str) -> Any:
    """Return what finds a pattern in UTF-8: a set of one, which is asked faster than a pattern by itself."""
    try:
        return search_set([pattern], MAX_MIB)
    except re2.error as error:
        raise RuleError("a pattern is too large; shorten its repetitions") from error


def _variants(text: str) -> list[str]:
    """Return a folded line, and what is left of it without the first word when that was glued to the second."""
    head, seam, tail = text.partition(GLUED)
    return [head + tail, " " + tail] if seam else [text]


class _Speech:
    """Tells by function words whether a line may be in the language of a rule.

    Words such as `we` are shared by languages; without this a Dutch rule would read an English sentence and not know
    the English words that show it to be prose.
    """

    def __init__(self, words: Mapping[str, frozenset[str]]) -> None:
        self._langs = frozenset(words)
        self._of: dict[str, list[str]] = {}
        for lang, own in words.items():
            for word in own:
                self._of.setdefault(word, []).append(lang)

    @lru_cache(maxsize=4096)  # noqa: B019 - lives as long as the rules, which are cached themselves
    def _counts(self, text: str) -> Counter[str]:
        return Counter(lang for token in text.split() if token in self._of for lang in self._of[token])

    def plausible(self, lang: str, text: str) -> bool:
        script = _SCRIPTS.get(lang)
        if script and len(text) > MAX_AMBIGUOUS_CHARS and script.search(text) is None:
            return False
        if lang in ("ja", "zh") and len(WIDE.findall(text)) > MAX_AMBIGUOUS_CHARS:
            return (_KANA.search(text) is None) == (lang == "zh")
        if lang not in self._langs:
            return True
        counts = self._counts(text)
        best = max(counts.values(), default=0)
        # Short lines share words by chance.
        return best < MIN_FUNCTION_WORDS or counts[lang] + 1 >= best


_RULE_KEYS = {
    "id", "family", "label", "category", "lang", "score", "pattern", "all", "unless", "case", "min_words", "max_words",
    "max_chars", "weak", "several", "least", "why", "hits", "misses",
}  # fmt: skip
_CASE_KEYS = {"pattern", "all", "unless", "min_words", "max_words", "max_chars", "weak"}
_PACK_KEYS = {"lang", "spaced", "function", "words", "rule", "family"}


def load_packs(paths: Iterable[str | Path] = (), *, shipped: bool = True, every: bool = False) -> Rules:
    """Return the shipped rules and those of more packs; the given packs are tried first. Loaded once per process.

    Args:
        paths: the packs.
        shipped: whether the shipped rules are among them.
        every: whether `rules` names the shipped rules of filler too, which otherwise wait for a text in their language.

    Raises:
        RuleError: a pack cannot be read, has an unknown key, or a pattern that RE2 cannot compile.
    """
    return _load(tuple(str(path) for path in paths), shipped, every)


@lru_cache(maxsize=8)
def _load(paths: tuple[str, ...], shipped: bool, every: bool) -> Rules:
    own = sorted(path for path in PACKS.glob("*.toml") if path != FAMILIES) if shipped else []
    # Rules of no language first: they are the most certain. Then English, which sites of all languages use.
    own.sort(key=lambda path: (path.stem not in ("structure", "web"), path.stem != "en", path.stem))
    filler = sorted(FILLER.glob("*.toml")) if shipped else []
    compiler = _Compiler(_read(FAMILIES))
    for path in [*map(Path, paths), *own, *(filler if every else ())]:
        compiler.add(path)
    return compiler.rules(frozenset(() if every else (path.stem for path in filler)))


def _filler(lang: str) -> list[Kind]:
    compiler = _Compiler(_read(FAMILIES))
    compiler.add(FILLER / f"{lang}.toml")
    return compiler.kinds()


class _Compiler:
    """Gathers packs; equal patterns share one number."""

    def __init__(self, families: Mapping[str, Any]) -> None:
        self._words: dict[str, Any] = families["words"]
        self._families: dict[str, dict[str, Any]] = {entry["id"]: entry for entry in families["family"]}
        self._rules: list[tuple[Rule, list[Case], list[Kind]]] = []
        self._patterns: dict[str, int] = {}
        self._speech: dict[str, frozenset[str]] = {}

    def kinds(self) -> list[Kind]:
        return [kind for _, _, kinds in self._rules for kind in kinds]

    def rules(self, filler: Collection[str]) -> Rules:
        return Rules(
            [rule for rule, _, _ in self._rules],
            [cases for _, cases, _ in self._rules],
            list(self._patterns),
            _Speech(self._speech),
            [kinds for _, _, kinds in self._rules],
            filler,
        )

    def add(self, path: Path) -> None:
        pack = _read(path)
        _only(pack, _PACK_KEYS, str(path), "key")
        if "family" in pack:
            raise RuleError(f"{path}: [[family]] stands in the shipped families.toml only; write [[rule]]")
        lang = _typed(pack, "lang", str, "", str(path))
        spaced = _typed(pack, "spaced", bool, True, str(path))
        lists = {**self._words, **_table(pack, "words", str(path))}
        words = {name: _word_list(entries, spaced, f"{path}: words.{name}") for name, entries in lists.items()}
        if "function" in pack:
            entries = _typed(pack, "function", list, [], str(path))
            own = frozenset(word for entry in entries for word in fold(entry).split())
            self._speech[lang] = self._speech.get(lang, frozenset()) | own
        starts = _rule_lines(path)
        seen: set[str] = set()
        for number, entry in enumerate(_tables(pack, "rule", str(path))):
            where = f"{path}:{starts[number]}" if number < len(starts) else str(path)
            rule, cases, kinds = self._rule(entry, path.stem, lang, spaced, words, where)
            if rule.id in seen:
                raise RuleError(f"{where}: a second rule {rule.id!r}; give it another id")
            seen.add(rule.id)
            self._rules.append((rule, cases, kinds))

    def _rule(
        self, entry: Mapping[str, Any], pack: str, lang: str, spaced: bool, words: Mapping[str, str], where: str
    ) -> tuple[Rule, list[Case], list[Kind]]:
        _only(entry, _RULE_KEYS, where, "key")
        name = _typed(entry, "family", str, "", where)
        if name and name not in self._families:
            raise RuleError(f"{where}: unknown family {name!r}; known are {', '.join(self._families)}")
        full = {"id": name, **self._families[name], **entry} if name else dict(entry)
        if name and "id" not in entry:
            full["id"] = name
        if not isinstance(full.get("id"), str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", full["id"]):
            raise RuleError(f"{where}: a rule needs an id of small letters, digits and hyphens")
        rule = Rule(
            id=full["id"],
            pack=pack,
            label=_choice(full, "label", "boilerplate", LABELS[1:], where),
            category=_choice(full, "category", "", ("", *CATEGORIES), where),
            lang=_typed(full, "lang", str, lang, where),
            score=float(_typed(full, "score", float, 0.95, where)),
            why=_typed(full, "why", str, "", where),
            hits=tuple(_typed(full, "hits", list, [], where)),
            misses=tuple(_typed(full, "misses", list, [], where)),
            where=where,
        )
        if rule.label == "boilerplate" and not rule.category:
            raise RuleError(f"{where}: rule {rule.id!r} needs a category: one of {', '.join(CATEGORIES)}")
        for field, least in (("why", 1), ("hits", 1), ("misses", 1)):
            if len(getattr(rule, field)) < least:
                raise RuleError(f"{where}: rule {rule.id!r} needs {field}; they show what it finds and what it spares")
        inline = {key: full[key] for key in _CASE_KEYS if key in full}
        raw = [*_tables(full, "case", where), *([inline] if "pattern" in inline or "all" in inline else [])]
        cases = [case for each in raw if (case := self._case(each, spaced, words, f"{where}: rule {rule.id!r}"))]
        kinds = self._kinds(rule, full, spaced, words, where)
        if not cases and not kinds:
            raise RuleError(f"{where}: rule {rule.id!r} has no pattern; write pattern = '…' or all = ['…', '…']")
        return rule, cases, kinds

    def _kinds(
        self, rule: Rule, entry: Mapping[str, Any], spaced: bool, words: Mapping[str, str], where: str
    ) -> list[Kind]:
        texts = _typed(entry, "several", list, [], where)
        least = _typed(entry, "least", int, MIN_KINDS, where)
        if texts and (rule.label != "ai_padding" or not rule.lang or least < 1):
            raise RuleError(
                f"{where}: rule {rule.id!r} has several = […]: it needs label ai_padding, a lang, least ≥ 1"
            )
        patterns = [(text, _pattern(text, spaced, words, f"{where}: rule {rule.id!r}")) for text in texts]
        for _, pattern in patterns:
            if pattern:
                self._number(pattern, f"{where}: rule {rule.id!r}")
        return [Kind(text, pattern, least, rule.id, rule.source, rule.score) for text, pattern in patterns if pattern]

    def _case(self, entry: Mapping[str, Any], spaced: bool, words: Mapping[str, str], where: str) -> Case | None:
        _only(entry, _CASE_KEYS, where, "key")
        texts = [*_typed(entry, "all", list, [], where), *([entry["pattern"]] if "pattern" in entry else [])]
        needs = [_pattern(text, spaced, words, where) for text in texts]
        unless = [_pattern(text, spaced, words, where) for text in _typed(entry, "unless", list, [], where)]
        if any(pattern is None for pattern in needs):
            return None  # the language has no word for it
        return Case(
            tuple(self._number(pattern, where) for pattern in needs if pattern),
            tuple(self._number(pattern, where) for pattern in unless if pattern),
            _typed(entry, "min_words", int, 0, where),
            _typed(entry, "max_words", int, 60, where),
            _typed(entry, "max_chars", int, MAX_CHARS, where),
            _typed(entry, "weak", bool, False, where),
        )

    def _number(self, pattern: str, where: str) -> int:
        # Shipped patterns are compiled when first needed: a test has seen to it that they can be.
        if pattern not in self._patterns and not where.startswith(str(PACKS)):
            try:
                re2.compile(pattern, options(MAX_MIB))
            except re2.error as error:
                reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
                raise RuleError(
                    f"{where}: pattern cannot be compiled: {reason}; RE2 has no look-around and no backreferences"
                ) from error
        return self._patterns.setdefault(pattern, len(self._patterns))


def _pattern(text: str, spaced: bool, words: Mapping[str, str], where: str) -> str | None:
    """Return a rule's pattern in the form RE2 matches: folded, lists put in, bounded by blanks."""
    if not isinstance(text, str):
        raise RuleError(f"{where}: {text!r} is not a pattern; write it in quotes")
    unknown = [name for name in _PLACEHOLDER.findall(text) if name not in words]
    if unknown:
        raise RuleError(f"{where}: no word list {unknown[0]!r}; add it under [words], or [] if there is no such word")
    names = _PLACEHOLDER.findall(text)
    if names and text in {f"{{{name}}}" for name in names} and not words[names[0]]:
        return None
    # An empty list inside a longer pattern matches nothing: U+0001 never survives folding.
    text = _PLACEHOLDER.sub(lambda match: f"(?:{words[match[1]] or chr(1)})", _fold_pattern(text))
    start, end = text.startswith("^"), text.endswith("$")
    text = text[start : len(text) - end]
    blank = " " if spaced else ""
    return f"{'^ ' if start else blank}(?:{text}){' $' if end else blank}"


def _fold_pattern(text: str) -> str:
    pieces = _ESCAPE.split(text)
    return "".join(piece if i % 2 else _fold_letters(piece) for i, piece in enumerate(pieces))


def _fold_letters(text: str) -> str:
    return strip_marks(text.casefold()).replace("'", " ").replace("’", " ")


def _word_list(entries: Any, spaced: bool, where: str) -> str:
    """Return one alternation; `*` stands for the rest of a word, behind a group too, ` .. ` for up to four words."""
    if not isinstance(entries, list) or not all(isinstance(entry, str) and entry.strip() for entry in entries):
        raise RuleError(f'{where}: write a list of words, for example ["cookie*"]')
    gap = " (?:[^ ]+ ){0,4}" if spaced else ".{0,12}"
    return "|".join(_ENDING.sub("[^ ]*", _fold_letters(entry).replace(_GAP, gap)) for entry in entries)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RuleError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except (ValueError, RecursionError) as error:  # besides its own error: bytes, numbers without end, deep nesting
        line = re.search(r"at line (\d+)", str(error))
        raise RuleError(f"{path}:{line[1] if line else 1}: not TOML in UTF-8: {error}; correct that line") from error


def _rule_lines(path: Path) -> list[int]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [number for number, line in enumerate(lines, 1) if line.strip().replace(" ", "").startswith("[[rule]]")]


def _only(entry: Mapping[str, Any], known: set[str], where: str, what: str) -> None:
    for name in entry:
        if name not in known:
            raise RuleError(f"{where}: unknown {what} {name!r}; known are {', '.join(sorted(known))}")


def _typed(entry: Mapping[str, Any], name: str, kind: type, default: Any, where: str) -> Any:
    value = entry.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RuleError(f"{where}: {name} = {value!r} is not {kind.__name__}; correct it")
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        raise RuleError(f"{where}: {name} holds something that is not text; write a list of lines in quotes")
    return value


def _table(entry: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = entry.get(name, {})
    if not isinstance(value, Mapping):
        raise RuleError(f"{where}: {name} = {value!r} is not a table; write it under [{name}]")
    return value


def _tables(entry: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    value = entry.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise RuleError(f"{where}: {name} = {value!r} is not a list of tables; write each under [[{name}]]")
    return value


def _choice(entry: Mapping[str, Any], name: str, default: str, choices: Sequence[str], where: str) -> Any:
    value = entry.get(name, default)
    if value not in choices:
        raise RuleError(f"{where}: {name} = {value!r}; use one of {', '.join(filter(None, choices))}")
    return value


def check(rules: Rules) -> list[str]:
    """Return what is wrong with rules, one line each: hits that their rule does not find, misses that any rule finds.

    >>> check(load_packs(every=True))
    []
    """
    return list(_problems(rules))


def _problems(rules: Rules) -> Iterator[str]:
    for rule in rules.rules:
        for line in rule.hits:
            if rule not in rules.matching(line):
                yield f"{rule.where}: {rule.source} does not find its hit {line!r}; widen the pattern"
        for line, match in zip(rule.misses, rules.match(rule.misses), strict=True):
            if match is not None and not match.weak:
                yield f"{rule.where}: {match.rule.source} finds the miss {line!r} of {rule.source}; narrow the pattern"
        phrases = rules.phrases(rule.lang)
        for line in rule.misses:
            for found in phrases.find([[line]])[0] if phrases else ():
                yield f"{rule.where}: {found.source} finds the miss {line!r} of {rule.source}; narrow the pattern"
