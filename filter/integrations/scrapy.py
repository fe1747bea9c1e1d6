"""An item pipeline for Scrapy: adds to each item its parts, as output records.

In the project's settings:

    ITEM_PIPELINES = {"filter.integrations.scrapy.TextsievePipeline": 300}
    TEXTSIEVE = {"config": {"preset": "gentle"}}

Needs Scrapy (tested with 2.19).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem, NotConfigured

from ..batch import Analysed, analyse
from ..config import Config
from ..errors import InputError
from ..readers import Fields, Item, Reader
from ..writers import part_records

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

__all__ = ["Settings", "TextsievePipeline"]


@dataclass(frozen=True)
class Settings:
    """What stands in the setting `TEXTSIEVE`.

    Attributes:
        config: options of `filter.Config`, by name.
        text_field, html_field, url_field, id_field: what the item's fields are called; a text or a page must be there.
        parts_field: gets the list of output records; an item class must have it.
        drop: whether an item of which nothing is worth keeping, or that cannot be used, is dropped. Otherwise it goes
            on, and an item that cannot be used has an empty list.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    text_field: str = "text"
    html_field: str = "html"
    url_field: str = "url"
    id_field: str = "id"
    parts_field: str = "parts"
    drop: bool = False


class TextsievePipeline:
    """Adds to each item its parts.

    Args:
        settings: what to do.
        stats: Scrapy's collector of statistics, which counts items, parts and what could not be used.

    Raises:
        ConfigError: an option in `settings.config` cannot be used.
    """

    def __init__(self, settings: Settings, stats: Any = None) -> None:
        self.settings = settings
        self.stats = stats
        self.config = Config.from_mapping(settings.config, where="TEXTSIEVE")
        names = Fields(settings.text_field, settings.html_field, settings.url_field, settings.id_field)
        self.reader = Reader(self.config.max_text_chars, fields=names)
        self.number = 0

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> TextsievePipeline:
        """Return the pipeline that a crawler's settings describe.

        Raises:
            NotConfigured: `TEXTSIEVE` holds an unknown name.
        """
        given = dict(crawler.settings.getdict("TEXTSIEVE"))
        known = {one.name for one in fields(Settings)}
        if unknown := sorted(set(given) - known):
            raise NotConfigured(f"TEXTSIEVE: unknown name {unknown[0]!r}; known are {', '.join(sorted(known))}")
        return cls(Settings(**given), crawler.stats)

    def process_item(self, item: Any) -> Any:
        """Return the item with its parts.

        Raises:
            DropItem: nothing of it is worth keeping, or it cannot be used; with `drop` only.
        """
        self.number += 1
        adapter = ItemAdapter(item)
        parts, problem = self._parts(adapter.asdict())
        adapter[self.settings.parts_field] = parts
        self._count("items")
        self._count("parts", len(parts))
        if problem is not None:
            self._count("unusable")
        elif not any(part["verdict"]["keep"] for part in parts):
            problem = "; ".join(dict.fromkeys(reason for part in parts for reason in part["verdict"]["reasons"]))
        if problem is not None and self.settings.drop:
            raise DropItem(f"textsieve: {problem}")
        return item

    def _parts(self, values: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        wanted = (self.settings.text_field, self.settings.html_field, self.settings.url_field, self.settings.id_field)
        try:
            # Other fields stay where they are, in the item.
            record, given_id = self.reader.record({name: values.get(name) for name in wanted}, str(self.number))
        except InputError as error:
            return [], str(error)
        (outcome,) = analyse([Item(record, "scrapy", self.number, given_id)], self.config)
        if isinstance(outcome, Analysed):
            return part_records(outcome.document, outcome.item, str), None
        return [], str(outcome.error)

    def _count(self, name: str, count: int = 1) -> None:
        if self.stats is not None:
            self.stats.inc_value(f"textsieve/{name}", count)
