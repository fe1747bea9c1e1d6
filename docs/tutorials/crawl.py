"""Writes a small WARC of an invented newspaper, to try textsieve on: python docs/tutorials/crawl.py crawl.warc.gz.

The archive holds what crawls hold: articles on pages full of other things, one in two languages, a page that was not
found, and a record that is cut off.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

SITE = "https://gazette.example"
MENU = "".join(f'<li><a href="/{name.lower()}">{name}</a></li>' for name in ("News", "Sport", "Harbour", "Letters"))
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} | The Harbour Gazette</title></head>
<body><div class="cookie">We use cookies to improve your visit. <button>Accept all cookies</button></div>
<header><a href="/">The Harbour Gazette</a><nav><ul>{menu}</ul></nav></header>
<main><article><h1>{title}</h1><p class="byline">By {author}</p>{body}
<p>Subscribe to our newsletter and get the news of the harbour every morning</p>
<p>Seen something on the water? Ring the harbour desk, day and night</p></article></main>
<aside><h2>Most read</h2><ul><li><a href="/1">Ferry late</a></li><li><a href="/2">Market moves</a></li></ul></aside>
<footer>© The Harbour Gazette. All rights reserved. <a href="/terms">Terms of use</a></footer></body></html>"""

ARTICLES = {
    "bridge": (
        "Harbour bridge closes for the winter",
        "Petra Hofmann",
        """The council of Lindau voted 31 to 12 on Tuesday to close the harbour bridge until the end of March.
Engineers had found 214 of its 900 rivets loose when they took soundings in October, after a lorry driver
reported a noise "like a drawer of spoons".
The ferry will run every twenty minutes until then, said the mayor, Anna Brandt. It carries bicycles but no
cars, and those who drive to work must take the long way round by Wasserburg, which adds eleven kilometres.
Shopkeepers in Bridge Street are not amused. "We had the roadworks in spring and the flood in June," said Karl
Ott, who sells ropes and lamps there. "Now they take the bridge away in December." The repair will cost 1.4
million euros, half of which the state pays.""",
    ),
    "flood": (
        "What the flood left in the cellar of the museum",
        "Jonas Weber",
        """When the water went down in June, Marta Klein found a pike in the coal cellar of the town museum. Alive.
The ledgers of the old customs house, which had stood on the lowest shelf since 1921, were not so lucky.
She froze them. All 340 volumes went into the cold store of a fish merchant in Bregenz, wrapped in paper that a
bakery gave, because wet paper that is frozen does not rot.
Since then three volunteers thaw four volumes a week and dry them page by page. In the ledger for 1848 they came
upon a list of smuggled goods that nobody had read in living memory: lace, saltpetre, two barrels of almanacs.
An exhibition is planned for next autumn. The pike was put back into the lake.""",
    ),
    "market": (
        "Saturday market moves to the station",
        "Petra Hofmann",
        """From next week the Saturday market will be held on the square before the station, and not on the quay.
The quay is needed for the ferry, the town says, and there is no room for both.
Of the 46 stalls, 39 will move. The fishmongers will not: they may stay by the water, where they have the ice
house.
Erna Sutter, who has sold apples there for forty years, measured her new place with a ribbon on Thursday. It is
thirty centimetres shorter. "I shall have to leave out the quinces," she said.""",
    ),
    "ferry": (
        "A night on the last ferry",
        "Jonas Weber",
        """The last boat leaves at ten past eleven. On Friday it carried nine people, two dogs and a double bass.
The bass belonged to Ruth Amann, who plays in Bregenz and lives on the island, and who pays for it as for a
bicycle.
"There was a long letter about it," the captain said. "In the end we agreed that it has no wheels but that it is
as tall as one." Halfway across he switched the lamps off, as he does every night for a minute, so that one may
see the stars. Nobody spoke.
Then the dogs began to bark, and he switched them on again.""",
    ),
    "bilingual": (
        "Notice to guests of the island",
        "The editors",
        """The island is full on Saturday: 4,000 guests are expected for the regatta, and no car may cross after noon.
Leave your car at the station and take the boat; it costs nothing on that day.
Whoever stays overnight should carry a letter from the hotel, which the guard at the pier will ask for.
La isla estará llena el sábado: se esperan 4.000 visitantes para la regata y ningún coche podrá pasar después
del mediodía.
Dejen el coche en la estación y tomen el barco, que ese día no cuesta nada.
Quien pase la noche debe llevar una carta del hotel, que el guardia del muelle le pedirá.""",
    ),
}


def record(url: str, status: str, body: bytes, length_error: int = 0) -> bytes:
    """Return one response as a gzip member of its own, as crawlers write it."""
    answer = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n".encode() + body
    name = url.rpartition("/")[2]
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\n"
        f"WARC-Record-ID: <urn:example:{name}>\r\nWARC-Date: 2024-11-02T08:00:00Z\r\nWARC-Target-URI: {url}\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(answer) + length_error}\r\n\r\n"
    ).encode()
    return gzip.compress(head + answer + b"\r\n\r\n", mtime=0)


def page(title: str, author: str, text: str) -> bytes:
    """Return a page of the newspaper; its article has a paragraph for every line that ends a sentence."""
    paragraphs = "".join(f"<p>{' '.join(part.split())}</p>" for part in text.replace(".\n", ".\0").split("\0"))
    return PAGE.format(title=title, author=author, body=paragraphs, menu=MENU).encode()


def main(path: str) -> None:
    """Write the archive."""
    records = [record(f"{SITE}/{name}", "200 OK", page(*article)) for name, article in ARTICLES.items()]
    records.insert(2, record(f"{SITE}/gone", "404 Not Found", b"<p>There is no such page.</p>"))
    records.insert(4, record(f"{SITE}/damaged", "200 OK", page("Damaged", "Nobody", "This page is cut."), 5000))
    Path(path).write_bytes(b"".join(records))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python crawl.py FILE.warc.gz")
    main(sys.argv[1])
