"""The stages in order: this module is the whole story on one screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from .batches import batches
from .config import Config
from .document import Document, Record, Verdict
from .errors import InputError

__all__ = ["Stage", "prepare", "process", "process_many", "run_stages"]

_DEFAULT = Config()

Stage = Callable[[Sequence[Document], Config], list[Document]]
"""A function from a batch of documents to the same documents, better labelled; it never changes the text."""


def process(source: str | Record, config: Config = _DEFAULT) -> Document:
    r"""Return one text or record analysed; `process_many` is many times faster for more than one.

    Raises:
        InputError: the record cannot be used (too long, or its HTML cannot be parsed).
        TypeError: the source is neither a str nor a Record.

    >>> from filter import process
    >>> document = process("The court met on Monday.\nSubscribe to our newsletter\n")
    >>> [span.label for span in document.spans]
    ['content', 'boilerplate']
    """
    return run_stages([prepare(source, config)], config)[0]


def process_many(sources: Iterable[str | Record], config: Config = _DEFAULT, *, jobs: int = 1) -> Iterator[Document]:
    """Yield one document per source, in order; reads ahead no more than `config.batch_chars` of text per job.

    A record that cannot be used does not stop the others: its document has no text, and a verdict not to keep it that
    says why.

    Args:
        sources: texts or records.
        config: what to do.
        jobs: processes to work in, by joblib; the documents are the same whatever their number. -1 for one per core.

    Raises:
        TypeError: sources is a single text, or one of them is neither a str nor a Record.
        joblib.externals.loky.process_executor.TerminatedWorkerError: with several jobs, one of them was killed;
            `textsieve run --jobs` goes on then.

    >>> from filter import Record, process_many
    >>> documents = process_many([Record(id="a", html="<p>"), "The court met on Monday."])
    >>> [(document.verdict.keep, document.text) for document in documents]
    [(False, ''), (True, 'The court met on Monday.')]
    """
    if isinstance(sources, str | bytes | Record):
        raise TypeError("sources is a single one; put it in a list, or call process")
    if jobs == 0:
        raise ValueError("jobs = 0: use 1 or more, or -1 for one per core")
    if jobs != 1:
        yield from _in_parallel(sources, config, jobs)
        return
    prepared = (_prepared(source, config) for source in sources)
    for batch in batches(prepared, lambda document: len(document.text), config.batch_chars):
        judged = iter(run_stages([document for document in batch if document.verdict.keep], config))
        for document in batch:
            yield next(judged) if document.verdict.keep else document


def _in_parallel(sources: Iterable[str | Record], config: Config, jobs: int) -> Iterator[Document]:
    from joblib import Parallel, delayed, effective_n_jobs

    # One share per job and turn: joblib's own generator would go on reading while nobody takes the results.
    shares = batches(sources, _chars, config.batch_chars)
    with Parallel(n_jobs=jobs) as parallel:
        while turn := list(islice(shares, effective_n_jobs(jobs))):
            for documents in parallel(delayed(_worked_on)(share, config) for share in turn):
                yield from documents


def _worked_on(sources: Sequence[str | Record], config: Config) -> list[Document]:
    return list(process_many(sources, config))


def _chars(source: str | Record) -> int:
    record = _record(source)
    return len((record.html if record.text is None else record.text) or "")


def _prepared(source: str | Record, config: Config) -> Document:
    try:
        return prepare(source, config)
    except InputError as error:
        record = _record(source)
        verdict = Verdict(keep=False, reasons=(str(error),))
        return Document("", id=record.id, url=record.url, meta=record.meta, verdict=verdict)


def _record(source: object) -> Record:
    if isinstance(source, Record):
        return source
    if isinstance(source, str):
        return Record(text=source)
    kind = type(source).__name__
    raise TypeError(f"{kind} instead of a str or a Record; a page of bytes is Record(html=page)")


def prepare(source: str | Record, config: Config) -> Document:
    """Return a source as a document of line spans: extraction and segmentation, no judgement.

    Raises:
        InputError: the record cannot be used.
    """
    from .extract import extract
    from .segment import segment

    document = extract(_record(source), config)
    if len(document.text) > config.max_text_chars:
        reason = f"text of {len(document.text):,} characters is over the limit of {config.max_text_chars:,}"
        raise InputError(reason, remedy="raise max_text_chars in the configuration, or cut the text")
    return segment(replace(document, policy=config.policy))


def run_stages(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents after every stage, and what is to be said of their parts."""
    from .parts import note_parts

    for stage in (*_stages(), note_parts):
        documents = stage(documents, config)
    return [replace(document, verdict=_verdict(document)) for document in documents]


def _stages() -> tuple[Stage, ...]:
    # Imported here, so that `import filter` and `--help` do not wait for NumPy.
    from .clean import clean
    from .decisions import honour
    from .language import name_scripts, split_languages
    from .sections import classify_sections

    return (clean, split_languages, classify_sections, name_scripts, honour)


def _verdict(document: Document) -> Verdict:
    if not document.text.strip():
        return Verdict(keep=False, reasons=("the text is empty",))
    left = {span.label for span in document.spans if document.policy.action(span.label) != "strip"}
    if not left:
        return Verdict(keep=False, reasons=("nothing is left after removals",))
    if left <= {"spam", "low_quality"}:
        return Verdict(keep=False, reasons=(f"nothing but {' and '.join(sorted(left))}",))
    parts = [note.verdict for note in document.notes.values()]
    if parts and not any(verdict.keep for verdict in parts):
        return Verdict(keep=False, reasons=tuple(dict.fromkeys(reason for part in parts for reason in part.reasons)))
    return Verdict()
