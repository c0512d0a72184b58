"""Does scrubbed text parse where the text did, to the same structure?

    python -m benchmarks.well_formed [FOLDER ...] [--made 200] [--show 5] [--megabytes 100]

Every file below the folders (default: what is installed here) whose suffix is a format's and that
its parser reads is scrubbed with the default settings and parsed again. --made writes as many
documents of each format, with personal data of every type and secrets of every rule in their
values. What has to stay is the skeleton: keys, columns, tags, nesting, nodes of code; values may
differ. --show prints paths of files whose skeleton is another one.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import csv
import html
import io
import json
import re
import sys
import sysconfig
import tomllib
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from unrote.pii.config import actions_for, default_config
from unrote.pii.keys import Key
from unrote.pii.scrubbing import scrub_texts
from unrote.pii.secret_rules import own_rules
from unrote.pii.secret_templates import expanded
from unrote.pii.surrogates import SAMPLE_VALUES

KEY = Key(b"the key of this measurement, of which no run depends")
MAX_BYTES = 2_000_000
"""Longer files are left out."""

Skeleton = Callable[[str], Any]


def _tree(value: Any) -> Any:
    """Keys and nesting of what a parser made of a text, and whether a leaf is a string."""
    if isinstance(value, dict):
        return [(key, _tree(one)) for key, one in value.items()]
    if isinstance(value, list):
        return [_tree(one) for one in value]
    return isinstance(value, str)


def of_json(text: str) -> Any:
    return _tree(json.loads(text))


def of_json_lines(text: str) -> Any:
    return [of_json(line) for line in text.split("\n") if line.strip()]


def of_toml(text: str) -> Any:
    return _tree(tomllib.loads(text))


def of_yaml(text: str) -> Any:
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return [type(event).__name__ for event in events]


def of_ini(text: str) -> Any:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return [(section, list(parser[section])) for section in parser.sections()]


def of_csv(text: str, delimiter: str = ",") -> Any:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [len(row) for row in rows]


def of_tsv(text: str) -> Any:
    return of_csv(text, "\t")


def of_xml(text: str) -> Any:
    root = ElementTree.fromstring(text)
    return [(one.tag, list(one.attrib)) for one in root.iter()]


def of_html(text: str) -> Any:
    tags: list[Any] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, [name for name, _ in attrs]))

        def handle_endtag(self, tag: str) -> None:
            tags.append(tag)

        def handle_comment(self, data: str) -> None:  # noqa: ARG002
            tags.append(None)

    parser = Tags()
    parser.feed(text)
    parser.close()
    return tags


def of_python(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [type(node).__name__ for node in ast.walk(ast.parse(text))]


def of_query(text: str) -> Any:
    """URLs, one a line: their parts, the names of parameters, and that every escape is one."""
    found = []
    for line in text.splitlines():
        parts = urllib.parse.urlsplit(line)
        pairs = urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
        urllib.parse.unquote(line, errors="strict")
        escapes = len(re.findall("%[0-9A-Fa-f]{2}", line)), line.count("%")
        found.append((parts.scheme, parts.path.count("/"), [name for name, _ in pairs], escapes))
    return found


FORMATS: Mapping[str, Skeleton] = {
    ".csv": of_csv,
    ".html": of_html,
    ".ini": of_ini,
    ".ipynb": of_json,
    ".json": of_json,
    ".jsonl": of_json_lines,
    ".py": of_python,
    ".toml": of_toml,
    ".tsv": of_tsv,
    ".url": of_query,
    ".xml": of_xml,
    ".yaml": of_yaml,
}
"""By suffix, what is to stay of a text. Raises an exception for a text that does not parse."""

ALSO = {".cfg": ".ini", ".htm": ".html", ".yml": ".yaml"}


UNPARSED = (
    *(ValueError, SyntaxError, RecursionError, MemoryError, csv.Error),
    *(yaml.YAMLError, configparser.Error),
)
"""What parsers raise."""


# Made documents.


def secrets(random: Random) -> list[str]:
    """A secret for each example of a rule, with what stands around it there."""
    return [expanded(one, random) for rule in own_rules() for one in rule.examples]


TRACES = ("[**Name**]", "<EMAIL>", "[REDACTED]", "[NAME]", "{{PHONE_1}}", "___", "|||IP_ADDRESS|||")
"""Markers of earlier de-identification; where nothing stands in for one it is removed."""


def values(random: Random) -> list[str]:
    """Values of every type, some beside words, signs and line breaks."""
    found = []
    for value in [*SAMPLE_VALUES.values(), *secrets(random), *TRACES * 5]:
        before = random.choice(
            ["", "", "see ", "Phone: ", "mail\n", 'he said "', "a, ", "x; ", "<"]
        )
        behind = random.choice(["", "", " now", ".", "\n", '"', ", b", " & c", ">"])
        found.append(before + value + behind)
    random.shuffle(found)
    return found


def _toml_string(value: str) -> str:
    return json.dumps(value).replace("\x7f", "\\u007f")


def _record(random: Random, some: Sequence[str]) -> dict[str, Any]:
    number = random.randrange(10**9, 10**10)
    return {
        **{f"field_{at}": one for at, one in enumerate(some)},
        "account": number,
        "phone_number": number + 1,
        "list": list(some[:2]),
        "nested": {"ssn": random.randrange(10**8, 10**9), "note": some[0]},
    }


def _delimited(rows: Sequence[Sequence[Any]], delimiter: str, quoting: Any) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _ini(some: Sequence[str]) -> str:
    lines = (f"key_{at} = {one}".replace("\n", "\n    ") for at, one in enumerate(some))
    return "[section]\n" + "\n".join(lines) + "\n"


def _html(some: Sequence[str]) -> str:
    rows = (
        f'<p title="{html.escape(one)}">{html.escape(one)}</p><!-- {html.escape(one)} -->'
        f'<a href="mailto:{html.escape(urllib.parse.quote(one))}">mail</a>'
        for one in some
    )
    return "<html><body>\n" + "\n".join(rows) + "\n</body></html>\n"


def _xml(some: Sequence[str]) -> str:
    rows = (f'<item name="{html.escape(one)}">{html.escape(one)}</item>' for one in some)
    return "<items>\n" + "\n".join(rows) + "\n</items>\n"


def _python(random: Random, some: Sequence[str]) -> str:
    lines = [f"field_{at} = {one!r}" for at, one in enumerate(some)]
    lines += [f"call({one!r}, account={random.randrange(10**9, 10**10)})" for one in some]
    return "def run(account, phone):\n    " + "\n    ".join(lines) + "\n"


def _urls(some: Sequence[str]) -> str:
    lines = (
        "https://host.unrote.org/path?"
        + urllib.parse.urlencode({"id": "7", "value": one, "b": "c"})
        for one in some
    )
    return "\n".join(lines) + "\n"


def _toml(record: Mapping[str, Any], some: Sequence[str]) -> str:
    lines = [f"{name} = {_toml_string(one)}" for name, one in zip(record, some, strict=False)]
    return "\n".join([*lines, f"account = {record['account']}", "[table]", "a = 1\n"])


def made(suffix: str, random: Random) -> str:
    """A document of a format, with values of many types in it."""
    some = random.sample(values(random), 6)
    record = _record(random, some)
    rows = [[str(one) for one in record], list(record.values()), list(record.values())]
    ascii_only, indent = random.random() < 0.5, random.choice([None, 1, 4])
    quoting = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    style = random.choice([None, '"', "'", "|"])
    line = json.dumps(record, ensure_ascii=ascii_only)
    whole = json.dumps([record, record], ensure_ascii=ascii_only, indent=indent)
    written: Mapping[str, Callable[[], str]] = {
        ".csv": lambda: _delimited(rows, ",", quoting),
        ".html": lambda: _html(some),
        ".ini": lambda: _ini(some),
        ".ipynb": lambda: whole,
        ".json": lambda: whole,
        ".jsonl": lambda: f"{line}\n" * 3,
        ".py": lambda: _python(random, some),
        ".toml": lambda: _toml(record, some),
        ".tsv": lambda: _delimited(rows, "\t", csv.QUOTE_MINIMAL),
        ".url": lambda: _urls(some),
        ".xml": lambda: _xml(some),
        ".yaml": lambda: yaml.safe_dump(record, default_style=style, allow_unicode=not ascii_only),
    }
    return written[suffix]()


# Measuring.


@dataclass
class Count:
    """Texts of one format that parse, and what came of them."""

    texts: int = 0
    size: int = 0
    changed: int = 0
    rejected: int = 0
    broken: int = 0


def skeleton(suffix: str, text: str) -> Any:
    """What is to stay of a text; None where it does not parse."""
    try:
        return FORMATS[suffix](text)
    except UNPARSED:
        return None


def check(suffix: str, names: Sequence[str], texts: Sequence[str]) -> tuple[Count, list[str]]:
    """Scrub texts of a format and compare skeletons: counts, and names of those that differ."""
    count, differing = Count(), []
    skeletons = [skeleton(suffix, text) for text in texts]
    whole = [one for one in zip(names, texts, skeletons, strict=True) if one[2] is not None]
    ids = [name for name, _, _ in whole]
    done = scrub_texts([text for _, text, _ in whole], ids, default_config(), actions_for(), KEY)
    for (name, text, before), after in zip(whole, done.texts, strict=True):
        count.texts += 1
        count.size += len(text.encode("utf-8", "surrogatepass"))
        if after is None:
            count.rejected += 1
            continue
        count.changed += after != text
        if after != text and skeleton(suffix, after) != before:
            count.broken += 1
            differing.append(name)
    return count, differing


def installed(suffix: str, folders: Sequence[Path], most: int) -> list[Path]:
    """Files of a format below the folders, in order; so many bytes of them at most."""
    endings = {suffix, *(other for other, same in ALSO.items() if same == suffix)}
    found, held = [], 0
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix not in endings or path.is_symlink() or not path.is_file():
                continue
            size = path.stat().st_size
            if size <= MAX_BYTES and held + size <= most:
                held += size
                found.append(path)
    return found


def measure(suffix: str, source: Iterator[tuple[str, str]], show: int) -> None:
    found = list(source)
    count, differing = check(suffix, [name for name, _ in found], [text for _, text in found])
    print(
        f"| {suffix} | {count.texts:,} | {count.size / 1e6:.1f} | {count.changed:,} "
        f"| {count.rejected} | {count.broken} |",
        flush=True,
    )
    for name in differing[:show]:
        print(f"    {name}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--made", type=int, default=0)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=20, help="of each format, at most")
    given = parser.parse_args()
    print("| format | texts that parse | MB | changed | rejected | parse otherwise |")
    print("|---|--:|--:|--:|--:|--:|")
    if given.made:
        for suffix in FORMATS:
            texts = ((f"{suffix} {n}", made(suffix, Random(n))) for n in range(given.made))
            measure(suffix, texts, given.show)
        return
    folders = given.folders or [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]
    for suffix in FORMATS:
        paths = installed(suffix, folders, int(given.megabytes * 1e6))
        texts = ((str(path), path.read_text("utf-8", "replace")) for path in paths)
        measure(suffix, texts, given.show)


if __name__ == "__main__":
    main()
