"""Review a real text file: split it into sections, one background run per section, merge.

    python -m examples.review_document README.md

The sections are reviewed in parallel. Run it again after a kill: the run's id is made from the file's content, so
the same file means the same run, and an edited one a new run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from perdure import Agent, Context, Executor, Workflow, node
from pydantic import BaseModel

from examples.provider import provider

LONGEST = 6000
"""Characters of a section; a longer one is split at paragraphs."""

critic = Agent("critic", model="o3", instructions="You review technical prose. Quote what you criticise.")


@dataclass(frozen=True)
class Section:
    """A part of the document."""

    title: str
    text: str


class Remarks(BaseModel):
    """The critic's view of a section."""

    verdict: str
    remarks: list[str]


@node
def split(path: str) -> list[Section]:
    """The document's sections, at its Markdown headings."""
    text = Path(path).read_text(encoding="utf-8")
    parts = re.split(r"(?m)^(?=#{1,6} )", text)
    sections = [piece for part in parts if part.strip() for piece in pieces(part.strip())]
    if not sections:
        raise ValueError(f"{path} is empty: there is nothing to review")
    return sections


@critic.node(output=Remarks)
def criticise(section: Section) -> str:
    return f"Review this section, titled {section.title!r}:\n\n{section.text}"


@node
async def merge(remarks: list[Remarks], ctx: Context) -> str:
    """One report, in the order of the document."""
    lines = ["# Review"]
    for section, remark in zip(ctx.output(split), remarks, strict=True):
        lines += ["", f"## {section.title}", "", remark.verdict, ""]
        lines += [f"- {text}" for text in remark.remarks]
    return "\n".join(lines)


def pieces(part: str) -> list[Section]:
    """A section, in pieces of at most `LONGEST` characters where paragraphs allow it."""
    title = part.splitlines()[0].lstrip("# ").strip()[:80]
    texts = [""]
    for paragraph in part.split("\n\n"):
        if texts[-1] and len(texts[-1]) + len(paragraph) > LONGEST:
            texts.append("")
        texts[-1] += paragraph + "\n\n"
    many = len(texts) > 1
    return [
        Section(f"{title} ({index} of {len(texts)})" if many else title, text.strip())
        for index, text in enumerate(texts, 1)
    ]


review_document = Workflow("review_document", start=split, end=merge)
review_document.map(split, criticise, concurrency=8)
review_document.collect(criticise, merge)


async def main(file: Path, db: str) -> None:
    """Review the file; take up the run of the same content if there is one."""
    digest = hashlib.sha256(await asyncio.to_thread(file.read_bytes)).hexdigest()[:8]
    async with Executor(db) as executor:
        run = await executor.start(review_document, str(file), run_id=f"review-{digest}")
        print(f"run {run.id} in {db}", file=sys.stderr)
        done = 0
        async for event in run.events():
            done += event.type == "succeeded" and event.node == "criticise"
            if event.node == "criticise":
                print(f"\r{done} sections reviewed", end="", file=sys.stderr)
        print(file=sys.stderr)
        print(await run.result())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Review a text file, section by section.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--db", default="perdure.db")
    options = parser.parse_args()
    if not options.file.is_file():
        parser.error(f"{options.file} is no file")
    with provider():
        asyncio.run(main(options.file.resolve(), options.db))
