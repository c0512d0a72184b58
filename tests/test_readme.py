"""README's table of promises, held against the checks of `unrote verify`."""

import re
from pathlib import Path

from unrote.pipelines.verify import CHECKS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def promises() -> dict[str, str]:
    """Of each promise in the table: what it says of `unrote verify`."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| .+ \| (.+) \|$", README, re.MULTILINE)
    return dict(rows)


def test_each_check_belongs_to_a_promise():
    assert set(CHECKS.values()) <= set(promises())


def test_each_promise_that_is_checked_has_a_check():
    promised = promises()
    assert all(said.startswith(("yes", "no,")) for said in promised.values()), promised
    checked = {name for name, said in promised.items() if said.startswith("yes")}
    assert checked == set(CHECKS.values())


def test_the_sample_lists_the_checks_there_are():
    sample = README[README.index("$ unrote verify demo/cleaned") :].partition("```")[0]
    lines = re.findall(r"^ok {6}(.{14}) (.{16}) {1,20}[\d,]+$", sample, re.MULTILINE)
    listed = [(name.strip(), promise.strip()) for promise, name in lines]
    assert listed == list(CHECKS.items())
    assert sample.endswith("Every promise holds.\n")
