"""Small corpora in three views: what goes, what is cut, what is replaced, and what that leaves."""

from dataclasses import dataclass

import pyarrow as pa
from hypothesis import strategies as st

from tests.dedup.mini_engine import table
from unrote.corpus.schema import DUPLICATES, REJECTS, REPLACEMENTS, SPANS

Cut = tuple[int, int]
Change = tuple[int, int, str]


@dataclass(frozen=True)
class View:
    """Texts by document, tables of their edits, and the texts that are left."""

    texts: dict[int, str]
    duplicates: pa.Table
    rejects: pa.Table
    spans: pa.Table
    replacements: pa.Table
    deduplicated: dict[int, str]
    released: dict[int, str]


def views(
    texts: dict[int, str],
    duplicates: list[int] = [],  # noqa: B006 (read only)
    rejects: list[int] = [],  # noqa: B006
    cuts: dict[int, list[Cut]] = {},  # noqa: B006
    changes: dict[int, list[Change]] = {},  # noqa: B006
) -> View:
    """The tables of these edits. Cuts and changes of a text must be apart and in order."""
    kept = {doc: text for doc, text in texts.items() if doc not in duplicates}
    return View(
        texts,
        table(DUPLICATES.schema, [(doc, "exact", 0, 1.0) for doc in sorted(duplicates)]),
        table(REJECTS.schema, [(doc, "s", doc, "unsure") for doc in sorted(rejects)]),
        table(SPANS.schema, [(d, a, b, 0, 0, 0, 2) for d in sorted(cuts) for a, b in cuts[d]]),
        table(
            REPLACEMENTS.schema,
            [(doc, 0, *change) for doc in sorted(changes) for change in changes[doc]],
        ),
        {doc: left(text, cuts.get(doc, []), []) for doc, text in kept.items()},
        {
            doc: left(text, cuts.get(doc, []), changes.get(doc, []))
            for doc, text in kept.items()
            if doc not in rejects
        },
    )


def left(text: str, cuts: list[Cut], changes: list[Change]) -> str:
    """Part by part: what is cut ends a line, empty lines are none."""
    lines, at = [""], 0
    for start, end, new in sorted([*changes, *((a, b, None) for a, b in cuts)], key=lambda m: m[0]):
        lines[-1] += text[at:start]
        if new is None:
            lines.append("")
        else:
            lines[-1] += new
        at = end
    lines[-1] += text[at:]
    return "\n".join(line for line in lines if line)


WORDS = st.sampled_from(["the cat ", "sat ", "on ", "é", "中文 ", "😀 ", "a", "mat. ", "the "])
PARTS = st.lists(WORDS, min_size=1, max_size=40).map("".join)


@st.composite
def cases(draw) -> View:
    blocks = draw(st.lists(PARTS, min_size=1, max_size=3))
    parts = st.lists(st.sampled_from(blocks) | PARTS, max_size=4).map("".join)
    docs = draw(st.sets(st.integers(0, 30), min_size=1, max_size=6))
    texts = {doc: draw(parts) for doc in sorted(docs)}
    some = st.lists(st.sampled_from(sorted(docs)), max_size=2, unique=True)
    cuts, changes = {}, {}
    for doc, text in texts.items():
        bounds = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
        for start, end in zip(bounds[::2], bounds[1::2], strict=False):
            if draw(st.booleans()):
                cuts.setdefault(doc, []).append((start, end))
            else:
                new = draw(st.sampled_from(["", "X", "[NAME]", "cat "]))
                changes.setdefault(doc, []).append((start, end, new))
    return views(texts, draw(some), draw(some), cuts, changes)


VIEWS = cases()
