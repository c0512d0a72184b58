"""Why a document or a passage went, laid out beside its twin or witness.

Everything is read from the tables of a finished run and from the input, and of the input only the
rows that are shown. Personal data in them is masked. Names and texts are data: what in them would
steer a terminal is written as an escape (corpus.display), and what looks like rich's markup is not
read as such.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from unrote.corpus import display
from unrote.corpus.errors import UsageError
from unrote.corpus.normalization import Normalization
from unrote.corpus.schema import (
    DOCUMENTS,
    DUPLICATES,
    FINDINGS,
    INDEX_TWINS,
    INDEXED,
    REJECTS,
    SCORES,
    SPANS,
    Table,
    doc_key,
    row_of,
    shard_of,
)
from unrote.dedup.alignment import Alignment
from unrote.pii.config import SECRET
from unrote.pii.mask import MaskedText, masked
from unrote.pii.scanner_cache import scanner_of
from unrote.pipelines.finished import open_run
from unrote.pipelines.report.formatting import percent

LISTED = 20
"""Documents, and passages, that are listed."""

CONTEXT = 40
"""Characters shown before and after a passage."""

RISKIEST = 5
"""Sequences that are listed, the riskiest ones."""

PASSAGE = 400
"""Longest passage, in characters, that is shown whole."""

DIFFED = 20_000
"""Words of each text that are compared, after what both begin with: the time grows faster."""

EQUAL = 24
"""Longest run of equal words that is shown whole."""

REASONS = {
    "exact": "an exact copy",
    "near": "a near-duplicate",
    "remainder": "too little of it is left after its passages were cut",
}

Row = dict[str, Any]


class Position(NamedTuple):
    """A range of a document, in code points."""

    doc: int
    start: int
    end: int


def show(out: str, doc_or_id: str, *, width: int = 100) -> Group:
    """What became of one document of the finished run in `out`, and why.

    doc_or_id: an integer key (column `doc` of the tables), an id, or SHARD#ROW. width: columns of
    the terminal. Returns a rich renderable. Raises UsageError where there is no such document or
    several, InputError where `out` is no finished run, InputChanged where the input is not the one
    that was cleaned, StorageError.
    """
    run = _Run(out)
    doc = _find(run, doc_or_id)
    rejects = run.rows(REJECTS, _is_reject(run, doc))
    if rejects:
        why = _line(f"Rejected: {display.line(rejects[0]['reason'])}.")
        return Group(_heading(run, doc), why, *_sequences(run, doc, width))
    removed = run.duplicate(doc)
    parts: list[RenderableType] = [_heading(run, doc), _fate(run, removed)]
    if removed and removed["twin"] is not None and removed["twin"] >= 0:
        parts += _beside_twin(run, doc, removed["twin"])
    if not removed or removed["twin"] is None:
        parts += _passages(run, doc, width)
        parts += _findings(run, doc, width)
        parts += _sequences(run, doc, width)
    parts += _removed_for(run, doc, width)
    return Group(*parts)


class _Run:
    """A finished run, asked about documents. Only what is shown is read."""

    def __init__(self, out: str) -> None:
        self._run = open_run(out)
        self.corpus = self._run.corpus
        self.spans = lru_cache(maxsize=1024)(self._spans)

    @property
    def cuts_passages(self) -> bool:
        return self._run.settings.cuts_passages

    def rows(
        self, table: Table, condition: pc.Expression | None = None, doc: int | None = None
    ) -> list[Row]:
        """The rows that meet a condition, of all documents or of one; none of a missing table."""
        if table.name not in self._run.tables:
            return []
        return self._run.table(table.name, condition, doc=doc).to_pylist()  # type: ignore[no-any-return]

    def document(self, doc: int) -> Row | None:
        return next(iter(self.rows(DOCUMENTS, doc=doc)), None)

    def duplicate(self, doc: int) -> Row | None:
        """The row of a removed document, None if it was kept."""
        return next(iter(self.rows(DUPLICATES, doc=doc)), None)

    def _spans(self, doc: int) -> list[Row]:
        return self.rows(SPANS, doc=doc)

    def name(self, doc: int) -> str:
        """SHARD#ROW, to be shown; of a document of the index its id and run."""
        if doc < 0:
            known = next(iter(self.rows(INDEX_TWINS, doc=doc)), None)
            number = f"document {doc - INDEXED} of the index"
            if known is None:
                return number
            return f"{number} (id {display.name(known['id'])}, of its run {known['run']})"
        return f"{display.name(self.corpus.shards[shard_of(doc)].name)}#{row_of(doc)}"

    def shown(self, docs: Iterable[int]) -> dict[int, MaskedText]:
        """The texts of some documents as they may be shown."""
        settings = self._run.settings
        rows = self._run.records(docs)
        scanners = [scanner_of(config) for config in settings.shown_configs] if rows else []
        actions = settings.pii.all_actions
        return {doc: MaskedText(row["text"], scanners, actions) for doc, row in rows.items()}

    @property
    def form(self) -> Normalization:
        """That in which texts were compared."""
        return self._run.settings.input.normal_form

    def text(self, doc: int) -> str:
        """The text of a document."""
        return self._run.records([doc])[doc]["text"]  # type: ignore[no-any-return]

    def values(self, doc: int) -> tuple[str | None, ...]:
        """The text of a document and its other columns that were scanned."""
        row = self._run.records([doc])[doc]
        return (row["text"], *row["columns"])


# Which document is meant.


def _find(run: _Run, given: str) -> int:
    """The key of the document that `given` names. SHARD#ROW goes first: it names one at most."""
    shard, hash_sign, row = given.rpartition("#")
    numbers = [s.number for s in run.corpus.shards if hash_sign and s.name == shard]
    if numbers and row.isdecimal() and _exists(run, doc_key(numbers[0], int(row))):
        return doc_key(numbers[0], int(row))
    found = {row["doc"] for row in run.rows(DOCUMENTS, pc.field("id") == given)}
    if given.isdecimal() and len(given) < 20 and _exists(run, int(given)):
        found.add(int(given))
    if len(found) == 1:
        return int(found.pop())
    if not found:
        raise UsageError(
            f"no document '{display.name(given)}' in this run. Name one by its id, by its key "
            "(column doc of the tables) or as SHARD#ROW, for example "
            f"{display.name(run.corpus.shards[0].name)}#0. Rows count from 0."
        )
    names = ", ".join(run.name(doc) for doc in sorted(found)[:5])
    raise UsageError(
        f"'{display.name(given)}' names {len(found)} documents: {names}"
        f"{' and more' if len(found) > 5 else ''}. Name one of them as SHARD#ROW."
    )


def _exists(run: _Run, doc: int) -> bool:
    if shard_of(doc) >= len(run.corpus.shards):
        return False
    return run.document(doc) is not None or bool(run.rows(REJECTS, _is_reject(run, doc)))


def _is_reject(run: _Run, doc: int) -> pc.Expression:
    shard = run.corpus.shards[shard_of(doc)].name
    return (pc.field("shard") == shard) & (pc.field("row") == row_of(doc))


# What is said.


def _line(text: str, style: str = "") -> Text:
    return Text(display.body(text), style=style)


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _heading(run: _Run, doc: int) -> Text:
    document = run.document(doc)
    if document is None:
        return _line(run.name(doc), "bold")
    named, source = display.name(document["id"]), display.name(document["source"])
    about = f"  id {named}, source {source}, {document['bytes']:,} bytes"
    return Text.assemble((run.name(doc), "bold"), about)


def _fate(run: _Run, removed: Row | None) -> Text:
    if removed is None:
        return Text("Kept.", style="green")
    reason = REASONS.get(removed["reason"], display.name(removed["reason"]))
    if removed["twin"] is None:
        return _line(f"Removed: {reason}.", "red")
    return Text.assemble(
        (f"Removed: {reason}", "red"),
        f" of {_named(run, removed['twin'])}, similarity {removed['similarity']:.4f}.",
    )


def _named(run: _Run, doc: int) -> str:
    if doc < 0:
        return run.name(doc)
    document = run.document(doc)
    name = run.name(doc)
    called = name if document is None else display.name(document["id"])
    return name if called == name else f"{name} (id {called})"


def _removed_for(run: _Run, doc: int, width: int) -> Iterator[RenderableType]:
    """Who was removed because this document has the same: whole documents, and passages."""
    duplicates = run.rows(DUPLICATES, pc.field("twin") == doc)
    if duplicates:
        yield _title(f"{_counted(len(duplicates), 'document')} removed for this one")
        yield _grid(
            ("document", "reason", "similarity"),
            [
                (_named(run, row["doc"]), display.name(row["reason"]), f"{row['similarity']:.4f}")
                for row in duplicates[:LISTED]
            ],
            width,
        )
        yield from _more(len(duplicates))
    passages = run.rows(SPANS, pc.field("witness") == doc)
    if passages:
        yield _title(f"{_counted(len(passages), 'passage')} {_went(run)} elsewhere, as copied here")
        yield _grid(
            ("from", "passage of", "at"),
            [
                (
                    f"{row['witness_start']:,}",
                    f"{run.name(row['doc'])}",
                    f"{row['start']:,} to {row['end']:,}",
                )
                for row in passages[:LISTED]
            ],
            width,
        )
        yield from _more(len(passages))


def _went(run: _Run) -> str:
    return "cut" if run.cuts_passages else "found (reported, not cut)"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)


def _more(count: int) -> Iterator[Text]:
    if count > LISTED:
        yield _line(f"… and {count - LISTED:,} more", "dim")


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str | Text]], width: int) -> Grid:
    """A table. Cells are Text, because rich reads markup in a str."""
    grid = Grid(box=SIMPLE_HEAD, width=width, pad_edge=False, header_style="dim")
    for head in heads:
        grid.add_column(Text(head), ratio=1, overflow="fold")
    for row in rows:
        grid.add_row(*(_line(cell) if isinstance(cell, str) else cell for cell in row))
    return grid


# A document beside its twin.


def _beside_twin(run: _Run, doc: int, twin: int) -> Iterator[RenderableType]:
    texts = {key: shown.text for key, shown in run.shown((doc, twin)).items()}
    if _bare(_words(texts[doc])) == _bare(_words(texts[twin])):
        yield Text("Word for word the same:\n")
        yield _equal(_words(texts[doc]))
        return
    yield Text.assemble(
        "\n", ("[-only here-]", "red"), "  ", ("{+only in the twin+}", "green"), "\n"
    )
    yield Text().join(_word_diff(texts[doc], texts[twin]))


def _word_diff(ours: str, theirs: str) -> Iterator[Text]:
    """Both texts in one, word by word. White space makes no difference; ours is shown."""
    a, b = _words(ours), _words(theirs)
    same = _shared_start(a, b)
    head, a, b = a[:same], a[same : same + DIFFED], b[same : same + DIFFED]
    shared_end = _shared_start(a[::-1], b[::-1])
    tail = a[len(a) - shared_end :]
    a, b = a[: len(a) - shared_end], b[: len(b) - shared_end]
    yield _equal(head)
    matcher = difflib.SequenceMatcher(None, _bare(a), _bare(b), autojunk=len(a) > 1000)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            yield _equal(a[i:j])
            continue
        if j > i:
            yield _marked(a[i:j], "[-", "-]", "red")
        if m > k:
            yield _marked(b[k:m], "{+", "+}", "green")
    yield _equal(tail)
    if max(len(_words(ours)), len(_words(theirs))) > same + DIFFED:
        yield _line(f"… only {DIFFED:,} words were compared.", "dim")


def _words(text: str) -> list[str]:
    """The words of a text, each with the white space after it."""
    return re.findall(r"\S+\s*", text)


def _bare(words: Iterable[str]) -> list[str]:
    return [word.rstrip() for word in words]


def _shared_start(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words two texts begin with that are the same."""
    pairs = zip(a, b, strict=False)
    ends = min(len(a), len(b))
    return next((i for i, (x, y) in enumerate(pairs) if x.rstrip() != y.rstrip()), ends)


def _equal(words: Sequence[str]) -> Text:
    if len(words) <= EQUAL:
        return _line("".join(words))
    third = EQUAL // 3
    between = f" … {len(words) - 2 * third:,} equal words … "
    return Text.assemble(
        display.body("".join(words[:third]).rstrip()),
        (between, "dim"),
        display.body("".join(words[-third:])),
    )


def _marked(words: Sequence[str], opening: str, closing: str, style: str) -> Text:
    text = "".join(words)
    bare = text.rstrip()
    space = text[len(bare) :] or " "
    return Text.assemble((f"{opening}{display.body(bare)}{closing}", style), space)


# Passages beside their witnesses.


def _passages(run: _Run, doc: int, width: int) -> Iterator[RenderableType]:
    rows = run.spans(doc)
    if not rows:
        return
    shown = rows[:LISTED]
    chains = [_chain(run, row) for row in shown]
    texts = run.shown([doc, *(chain[-1].doc for chain in chains if chain[-1].doc >= 0)])
    yield _title(f"{_counted(len(rows), 'passage')} {_went(run)} here")
    for row, chain in zip(shown, chains, strict=True):
        size, kept = row["end"] - row["start"], chain[-1]
        yield _grid(
            (f"{row['start']:,} to {row['end']:,}, {row['occurrences']:,} times in the corpus", ""),
            [
                (
                    _in_context(texts[doc], row["start"], size),
                    _in_context(texts[kept.doc], kept.start, kept.end - kept.start)
                    if kept.doc >= 0
                    else Text("(in the index)", style="dim"),
                ),
                ("", Text(_route(run, chain), style="dim")),
            ],
            width,
        )
    yield from _more(len(rows))


def _chain(run: _Run, row: Row) -> list[Position]:
    """The witness of a passage; where that was cut, its witness, and so on to text that is kept.

    Follows the passage's first character: the rest may be kept elsewhere.
    """
    chain = [Position(row["witness"], row["witness_start"], row["witness_end"])]
    while run.cuts_passages and chain[-1].doc >= 0:
        at = chain[-1]
        cut = next((s for s in run.spans(at.doc) if s["start"] <= at.start < s["end"]), None)
        if cut is None:
            break
        step = _step(run, cut, at)
        if step >= at:  # a broken table; `unrote verify` says more
            break
        chain.append(step)
    return chain


def _step(run: _Run, cut: Row, at: Position) -> Position:
    """What the witness of a cut passage has of a range that begins in the passage."""
    first, size = at.start - cut["start"], at.end - at.start
    same = cut["end"] - cut["start"] == cut["witness_end"] - cut["witness_start"]
    if cut["witness"] >= 0 and not same:
        first, size = _spelled_there(run, cut, first, size)
    start = cut["witness_start"] + first
    return Position(cut["witness"], start, start + size)


def _spelled_there(run: _Run, cut: Row, first: int, size: int) -> tuple[int, int]:
    """Where the witness of a passage, spelled in another way, has a range of it, and how long."""
    passage = run.text(cut["doc"])[cut["start"] : cut["end"]]
    witness = run.text(cut["witness"])[cut["witness_start"] : cut["witness_end"]]
    here, there = (Alignment.of(run.form, text) for text in (passage, witness))
    before = max(0, run.form.text(witness).find(run.form.text(passage)))
    ends = (first, min(first + size, len(passage)))
    low, high = (before + here.boundary_of(place) for place in ends)
    start = int(there.places_of(np.array([low]))[0])
    return start, int(there.ends_of(np.array([high]))[0]) - start


def _route(run: _Run, chain: Sequence[Position]) -> str:
    steps = [f"{run.name(position.doc)} at {position.start:,}" for position in chain]
    if len(steps) == 1:
        return f"stays in {steps[0]}"
    if len(steps) > 4:
        steps = [*steps[:2], f"{len(steps) - 3:,} more", steps[-1]]
    return "copied from " + ", there from ".join(steps[:-1]) + f"; stays in {steps[-1]}"


def _in_context(text: MaskedText, start: int, size: int) -> Text:
    """A passage, long ones shortened, with a little of what stands around it."""
    end = start + size
    if size > PASSAGE:
        half = PASSAGE // 2
        left_out = f" … {size - 2 * half:,} characters … "
        head, tail = text.excerpt(start, start + half), text.excerpt(end - half, end)
        shown = Text.assemble(display.flat(head), (left_out, "dim"), display.flat(tail))
    else:
        shown = Text(display.flat(text.excerpt(start, end)))
    shown.stylize("bold")
    before, after = text.excerpt(max(0, start - CONTEXT), start), text.excerpt(end, end + CONTEXT)
    return Text.assemble((display.flat(before), "dim"), shown, (display.flat(after), "dim"))


# Personal data.


def _findings(run: _Run, doc: int, width: int) -> Iterator[RenderableType]:
    """What was found in the document, masked, and what was done about it."""
    rows = run.rows(FINDINGS, doc=doc)
    if not rows:
        return
    values = run.values(doc)
    yield _title(f"{_counted(len(rows), 'finding')} here")
    yield _grid(
        ("at", "type", "what", "done"),
        [
            (
                f"{row['start']:,} to {row['end']:,}"
                + f" of column {row['field']}" * (row["field"] > 0),
                display.name(_what(row)),
                display.flat(masked(_value(values, row), row["type"])),
                display.name(row["action"]),
            )
            for row in rows[:LISTED]
        ],
        width,
    )
    yield from _more(len(rows))


def _what(row: Row) -> str:
    """A finding's type; of a secret with the rule, of a marker with what it stands for."""
    more = row["origin"] if row["type"] == SECRET else row["stands_for"]
    return f"{row['type']} ({more})" if more else str(row["type"])


def _value(values: Sequence[str | None], row: Row) -> str:
    return (values[row["field"]] or "")[row["start"] : row["end"]]


# Sequences at risk of memorization.


def _sequences(run: _Run, doc: int, width: int) -> Iterator[RenderableType]:
    """The riskiest sequences of the document, and why they are."""
    rows = run.rows(SCORES, pc.field("risk").is_valid(), doc)
    if not rows:
        return
    riskiest = sorted(rows, key=lambda row: (-row["risk"], row["start"]))[:RISKIEST]
    text = run.shown([doc])[doc]
    which = f"the riskiest of {len(rows):,} sequences" if len(rows) > 1 else "the only sequence"
    yield _title(f"Memorization: {which}")
    for row in riskiest:
        yield _grid(
            (f"{row['start']:,} to {row['end']:,}, risk {percent(row['risk'])}", ""),
            [
                (_in_context(text, row["start"], row["end"] - row["start"]), _line(_why(row))),
            ],
            width,
        )


def _why(row: Row) -> str:
    """What makes a sequence's risk, and what else is known of it."""
    copies = f"{row['copies']:,} released, {row['copies_input']:,} in the input"
    lines = [
        f"{row['category']}; {percent(row['risk_low'])} to {percent(row['risk_high'])}",
        f"copies: {copies}",
    ]
    if row["copies_near"]:
        lines.append(f"near copies: {row['copies_near']:,.1f}")
    if row["predictable"] is not None:
        lines.append(f"by copies {percent(row['memorized'])}")
        lines.append(f"without having seen it {percent(row['predictable'])}")
    if row["tabular"] == "head":
        lines.append("header or first rows of a table")
    if row["extractable"]:
        lines.append("extractable from the reference model")
    if row["scored_by"] != "model":
        lines.append("scored by its text; copies are estimated")
    if row["action"] != "keep":
        lines.append(f"done: {row['action']}")
    return "\n".join(lines)
