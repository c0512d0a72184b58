"""Every removed copy has a twin that is as similar as its row says."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Hashable

from unrote.pipelines.verify.canonical import canonical
from unrote.pipelines.verify.records import Duplicate, Rules
from unrote.pipelines.verify.state import Run
from unrote.pipelines.verify.tokens import grams_of, lower

_LEADER = re.compile(r"([*/%])\1?(\s|$)")
"""An operator by itself, if no line begins with it."""


def check_duplicates(run: Run) -> None:
    tally = run.tally["duplicates"]
    for doc, duplicate in run.duplicates.items():
        name = run.name_of(doc)
        tally.expect(doc in run.known, "%s was removed but is not a document", name)
        tally.expect(
            duplicate.reason in ("exact", "near", "remainder"),
            "%s was removed for an unknown reason",
            name,
        )


def check_twins(run: Run) -> None:
    """Every twin is kept, and as similar as the table says.

    Documents are taken by twin, so that a twin's n-grams are made once. Texts of an index are not
    here: of a twin there it is seen that the run names it and, for a near-duplicate, that it says a
    similarity that suffices; `unrote index verify` compares keys and texts.
    """
    _check_index_twins(run)
    removed = sorted(run.duplicates.items(), key=lambda item: (item[1].twin or 0, item[0]))
    twin_grams = functools.lru_cache(maxsize=1)(lambda twin: _shingles(run, twin))
    for at, (doc, duplicate) in enumerate(removed):
        if duplicate.reason == "remainder":
            bare = duplicate.twin is None and duplicate.similarity is None
            run.tally["remainders"].expect(bare, "%s has a twin", run.name_of(doc))
            continue
        near = duplicate.reason == "near"
        problem = _twin_problem(run, doc, duplicate)
        if problem is None and (duplicate.twin or 0) < 0:
            problem = _indexed_problem(run, duplicate)
        elif problem is None:
            problem = (
                _near_problem(run, doc, duplicate, twin_grams)
                if near
                else _exact_problem(run, doc, duplicate)
            )
        tally = run.tally["near-duplicates" if near else "exact copies"]
        twin = "nothing" if duplicate.twin is None else run.name_of(duplicate.twin)
        tally.expect(problem is None, "%s and its twin %s: %s", run.name_of(doc), twin, problem)
        run.progress("twins", at + 1, len(removed))


def _twin_problem(run: Run, doc: int, duplicate: Duplicate) -> str | None:
    twin = duplicate.twin
    if twin is None or duplicate.similarity is None:
        return "no twin or no similarity is named"
    if twin == doc:
        return "a document is no twin of itself"
    if twin < 0:
        return None if twin in run.indexed else "the run does not name such a document of an index"
    if run.copied(twin):
        return "the twin was removed as a copy itself"
    if run.texts.get(doc) is None or run.texts.get(twin) is None:
        return "one of them is not a document of the input"
    return None


def _indexed_problem(run: Run, duplicate: Duplicate) -> str | None:
    similarity = duplicate.similarity or 0.0
    if duplicate.reason == "exact":
        return None if similarity == 1.0 else f"the similarity is {similarity:.9f}, not 1"
    if not run.rules.threshold - 1e-12 <= similarity <= 1:
        return f"the similarity {similarity:.9f} is not {run.rules.threshold} to 1"
    return None


def _check_index_twins(run: Run) -> None:
    """The documents of an index that a run names are those that are twins."""
    if not run.rules.index:
        return
    copies = Counter(one.twin for one in run.duplicates.values() if (one.twin or 0) < 0)
    passages = Counter(doc for doc in (*run.spans.witness, *run.uncut.witness) if doc < 0)
    for doc, said in run.indexed.items():
        there = copies[doc], passages[doc]
        run.tally["index twins"].expect(
            said == there, "%s has %d copies and %d passages", run.name_of(doc), *there
        )


def _exact_problem(run: Run, doc: int, duplicate: Duplicate) -> str | None:
    twin = duplicate.twin if duplicate.twin is not None else doc
    same = _normalised(run, doc) == _normalised(run, twin)
    return (
        None if same and duplicate.similarity == 1.0 else "the texts differ, or similarity is not 1"
    )


def _normalised(run: Run, doc: int) -> str:
    text = canonical(run.texts.get(doc) or "", run.rules)
    if run.rules.normalise == "none":
        return text
    text = re.sub(r"\s+", _one_space, text.strip())
    return lower(text) if run.rules.normalise == "case" else text


def _one_space(run: re.Match[str]) -> str:
    """What a run of white space counts as."""
    leads = re.search(r"[\n\r]", run[0]) and _LEADER.match(run.string, run.end())
    return "\n" if leads else " "


def _near_problem(
    run: Run, doc: int, duplicate: Duplicate, twin_grams: Callable[..., set[Hashable]]
) -> str | None:
    ours, theirs = _shingles(run, doc), twin_grams(duplicate.twin)
    both = len(ours & theirs)
    similarity = both / (len(ours) + len(theirs) - both) if both else 0.0
    if abs(similarity - (duplicate.similarity or 0.0)) > 1e-9:
        return f"the similarity is {similarity:.9f}, the table says {duplicate.similarity:.9f}"
    if similarity < run.rules.threshold - 1e-12:
        return f"the similarity {similarity:.9f} is below {run.rules.threshold}"
    return None


def _shingles(run: Run, doc: int) -> set[Hashable]:
    return shingles_of(run.texts.get(doc) or "", run.rules)


def shingles_of(text: str, rules: Rules) -> set[Hashable]:
    """The set of n-grams of a text."""
    return set(grams_of(canonical(text, rules), rules.unit, rules.ngram))
