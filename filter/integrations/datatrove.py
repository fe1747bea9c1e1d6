"""A step of a datatrove pipeline: documents in, their parts out, what was removed in the metadata.

Needs datatrove (tested with 0.10).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.typeshelper import StatHints

from ..batch import Analysed, Outcome, analyse
from ..config import Config
from ..document import Record
from ..readers import Item, Rejection
from ..writers import Unique, part_records

__all__ = ["Textsieve"]


class Textsieve(PipelineStep):
    """Cleans, classifies and splits documents; each part goes on as a document of its own.

    A part keeps the document's metadata, with everything known of it under `textsieve`: the fields of an output record
    but its text. What is not worth keeping, or cannot be used, goes to the exclusion writer with the reason in
    `filter_reason`.

    Args:
        config: what to do.
        html: whether the documents' text is HTML, as datatrove's WarcReader gives it.
        exclusion_writer: takes what does not go on; without one it is only counted.
        removed_text: whether removals carry their text.
    """

    name = "textsieve"
    type = "🔻 - FILTER"

    def __init__(
        self,
        config: Config | None = None,
        *,
        html: bool = False,
        exclusion_writer: DiskWriter | None = None,
        removed_text: bool = True,
    ) -> None:
        super().__init__()
        self.config = config or Config()
        self.html = html
        self.exclusion_writer = exclusion_writer
        self.removed_text = removed_text

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield the parts of the documents that are worth keeping."""
        waiting: deque[Document] = deque()
        take = Unique().take
        with self.exclusion_writer or contextlib.nullcontext() as writer:
            for outcome in analyse(self._items(data, waiting), self.config):
                document = waiting.popleft()
                self.stat_update(StatHints.total)
                for part, reasons in self._parts(document, outcome, take):
                    if not reasons:
                        self.stat_update(StatHints.forwarded)
                        self.update_doc_stats(part)
                        yield part
                        continue
                    self.stat_update(StatHints.dropped)
                    if writer is not None:
                        part.metadata["filter_reason"] = "; ".join(reasons)
                        writer.write(part, rank)

    def _items(self, data: DocumentsPipeline, waiting: deque[Document]) -> Iterator[Item | Rejection]:
        for number, document in enumerate(data or (), 1):
            waiting.append(document)
            url = document.metadata.get("url")
            content: dict[str, Any] = {"html": document.text} if self.html else {"text": document.text}
            record = Record(str(document.id), url=url if isinstance(url, str) else None, **content)
            yield Item(record, "datatrove", number, str(document.id))

    def _parts(self, document: Document, outcome: Outcome, take: Any) -> Iterator[tuple[Document, list[str]]]:
        if not isinstance(outcome, Analysed):
            # A writer of datatrove stops at what is not Unicode.
            document.text = document.text.encode("utf-8", "backslashreplace").decode("utf-8")
            yield document, [f"{outcome.error.reason}; {outcome.error.remedy}"]
            return
        for record in part_records(outcome.document, outcome.item, take, removed_text=self.removed_text):
            known = {name: value for name, value in record.items() if name not in ("text", "meta")}
            metadata = {**document.metadata, "textsieve": known}
            part = Document(record["text"], record["id"], media=document.media, metadata=metadata)
            yield part, [] if record["verdict"]["keep"] else record["verdict"]["reasons"] or ["not kept"]
