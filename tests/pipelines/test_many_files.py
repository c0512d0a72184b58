"""Many small files: no step takes more than in proportion to them."""

import sys
import threading
from collections import Counter
from pathlib import Path

from tests.command import settings
from tests.corpora import documents, rows, write_jsonl
from unrote.pipelines.clean import clean
from unrote.pipelines.progress import Silent

FEW, TIMES = 60, 4


def calls(folder: Path, files: int, per_file: int) -> Counter:
    """How often each Python function of ours was called by a job over so many files."""
    texts = documents(1, files * per_file)
    for number in range(files):
        own = texts[number * per_file : (number + 1) * per_file]
        write_jsonl(folder / "in" / f"{number:05d}.jsonl", rows(own, str(number)))
    counted: Counter = Counter()

    def count(frame, event, _):
        if event == "call" and frame.f_code.co_filename.rpartition("/")[2] != "watch.py":
            counted[f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"] += 1

    given = settings("pii.enabled=false", "memorization.enabled=false", "engine.workers=1")
    threading.setprofile(count)
    sys.setprofile(count)
    try:
        clean([str(folder / "in")], str(folder / "out"), given, Silent())
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return Counter({name: n for name, n in counted.items() if name.startswith("unrote.")})


def test_no_function_is_called_more_than_in_proportion_to_the_files(tmp_path):
    """Counted, not timed. A third more, since texts differ; quadratic would be four times."""
    few = calls(tmp_path / "few", FEW, 2)
    many = calls(tmp_path / "many", FEW * TIMES, 2)
    over = {
        name: (few[name], n)
        for name, n in many.items()
        if n > FEW * TIMES and n > 1.3 * TIMES * max(few[name], 1)
    }
    assert not over, "\n".join(f"{n} {c}" for n, c in over.items())
    per_file = {name: n / (FEW * TIMES) for name, n in many.items()}
    assert max(per_file.values()) < 75, max(per_file.items(), key=lambda item: item[1])
