"""A stage's answer does not change without its version: phases that were committed rely on it."""

import dataclasses

import pytest

from tests import golden
from unrote.corpus import stages
from unrote.pipelines import (  # noqa: F401 - all stages
    analysis,
    scoring,
    summary,
)


@pytest.fixture(scope="module")
def entries():
    return golden.recorded()


def test_answers_are_those_of_their_versions(entries):
    assert golden.changed(golden.known(), golden.answers(entries)) == [], golden.RAISE


def test_the_file_has_all_of_them(entries):
    """But not what comes after a model, which another processor rounds otherwise."""
    known = golden.known()
    missing = {e.stage for e in entries if e.exact and known.get(e.stage, {}).get(e.input) is None}
    assert missing == set(), "run `make golden`"
    assert set(known) == {e.stage for e in entries}


def test_a_changed_answer_is_seen(entries):
    known = golden.known()
    compared = [entry for entry in entries if not entry.model]
    for entry in compared[:: len(compared) // 20]:
        other = dataclasses.replace(entry, output=golden.digest("another"))
        assert golden.changed(known, golden.answers([other])) == [entry.stage]


def test_every_stage_is_among_them(entries):
    def below(kind):
        return {kind}.union(*(below(k) for k in kind.__subclasses__()))

    here = {k for k in below(stages.PlainStage) if k.__module__.startswith("unrote.")}
    named = {e.stage.split()[0] for e in entries}
    assert {k.__name__ for k in here if not k.__subclasses__()} - named == set()
