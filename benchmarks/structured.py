"""Labelled documents of fifteen kinds, in pairs that share a passage: what a cut may leave half.

Documents are made of units (a row, a list item, a question with its answer, a function, …). The
second document of a pair repeats some units of the first; its first repeated unit begins
otherwise, its last one ends otherwise, so that what both share begins and ends inside units, and is
no more than the middle of one where a single unit is repeated. Five kinds are held out: no rule was
made by looking at them.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ADJECTIVES = (
    "old", "new", "small", "large", "quiet", "early", "late", "public", "local", "common",
    "northern", "narrow", "simple", "careful", "annual", "distant", "formal", "recent",
    "steady", "broken", "empty", "heavy", "yellow", "familiar",
)  # fmt: skip
_NOUNS = (
    "council", "river", "garden", "letter", "engine", "market", "village", "teacher",
    "window", "report", "bridge", "harbour", "library", "meeting", "valley", "station",
    "record", "season", "farmer", "museum", "question", "answer", "journal", "castle",
    "railway", "committee", "account", "weather", "picture", "theatre", "neighbour", "reader",
    "factory",
)  # fmt: skip
_VERBS = (
    "describes", "follows", "improves", "replaces", "visits", "repairs", "watches",
    "measures", "opens", "closes", "carries", "finds", "supports", "reaches", "records",
    "answers", "explains", "collects",
)  # fmt: skip
_PLACES = ("in", "near", "behind", "above", "after", "without", "beside", "before")


@dataclass
class Labelled:
    """A text, and what stands in it: (name, start, end), and pairs that belong together.

    parts: words, sentences, rows, items, lines of code, headers. pairs: (name, first, second), each
    a range: a role tag and its turn, a question and its answer, a table's header and its rows, the
    first line of a function and what follows in it.
    """

    kind: str
    text: str = ""
    parts: list[tuple[str, int, int]] = field(default_factory=list)
    pairs: list[tuple[str, tuple[int, int], tuple[int, int]]] = field(default_factory=list)

    def add(self, text: str) -> tuple[int, int]:
        start = len(self.text)
        self.text += text
        return start, len(self.text)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = len(self.text)
        yield
        self.parts.append((name, start, len(self.text)))


@dataclass(frozen=True)
class Chances:
    """What the beginning, the middle and the end of a unit are drawn from."""

    head: int
    middle: int
    tail: int

    def drawn(self) -> tuple[random.Random, random.Random, random.Random]:
        numbers = (self.head, self.middle, self.tail)
        head, middle, tail = (random.Random(7 * n + i) for i, n in enumerate(numbers))
        return head, middle, tail


Unit = Callable[[Labelled, Chances], None]


def clause(chance: random.Random) -> str:
    pick = chance.choice
    text = f"the {pick(_ADJECTIVES)} {pick(_NOUNS)} {pick(_VERBS)} the {pick(_NOUNS)}"
    return f"{text} {pick(_PLACES)} the {pick(_ADJECTIVES)} {pick(_NOUNS)}"


def sentence(chance: random.Random) -> str:
    form = chance.randrange(6)
    said = clause(chance)
    if form == 0:
        said = f"{said} ({clause(chance)})"
    if form == 1:
        said = f'"{said}", says {chance.choice(_NOUNS)} {chance.choice(_NOUNS)}'
    first = 1 if said[0] == '"' else 0
    return said[:first] + said[first].upper() + said[first + 1 :] + "."


def name(chance: random.Random) -> str:
    return f"{chance.choice(_NOUNS)}_{chance.choice(_VERBS)}"


def add_sentences(out: Labelled, *chances: random.Random, width: int = 0) -> None:
    """A sentence of each; wrapped at `width` if it is given."""
    start = column = 0
    for i, chance in enumerate(chances):
        for j, word in enumerate(sentence(chance).split()):
            wraps = bool(width) and column + len(word) > width
            column = len(word) + 1 if wraps else column + len(word) + 1
            if i or j:
                out.add("\n" if wraps else " ")
            if j == 0:
                start = len(out.text)
            out.add(word)
        out.parts.append(("sentence", start, len(out.text)))


# Units.


def prose(out: Labelled, chances: Chances) -> None:
    head, middle, tail = chances.drawn()
    add_sentences(out, head, middle, middle, tail)
    out.add("\n\n")


def wrapped(out: Labelled, chances: Chances) -> None:
    head, middle, tail = chances.drawn()
    add_sentences(out, head, middle, middle, tail, width=72)
    out.add("\n\n")


def chat(begin: str, end: str, *roles: str) -> Unit:
    def unit(out: Labelled, chances: Chances) -> None:
        ranges = []
        for role, chance in zip(roles, _in_turns(chances, len(roles)), strict=True):
            tag = out.add(begin.format(role=role))
            start = len(out.text)
            add_sentences(out, *chance)
            turn = (start, len(out.text))
            out.pairs.append(("turn", tag, turn))
            ranges.append(turn)
            out.add(end)
        out.pairs.append(("question", *ranges))

    return unit


def _in_turns(chances: Chances, count: int) -> list[tuple[random.Random, ...]]:
    head, middle, tail = chances.drawn()
    return [(head, middle), (middle, middle, tail)][:count]


def asked(begin: str, answer: str) -> Unit:
    """A question with its answer."""

    def unit(out: Labelled, chances: Chances) -> None:
        head, middle, tail = chances.drawn()
        tag = out.add(begin)
        question = out.add(f"Why is it that {clause(head)}, and that {clause(middle)}?")
        out.parts.append(("sentence", *question))
        out.pairs.append(("turn", tag, question))
        tag = out.add(answer)
        start = len(out.text)
        add_sentences(out, middle, tail)
        out.pairs.append(("turn", tag, (start, len(out.text))))
        out.pairs.append(("question", question, (start, len(out.text))))
        out.add("\n\n")

    return unit


def row(begin: str, between: str, end: str) -> Unit:
    def unit(out: Labelled, chances: Chances) -> None:
        head, middle, tail = chances.drawn()
        cells = [name(head), str(head.randrange(10**6)), clause(middle), name(middle), clause(tail)]
        cells += [str(tail.randrange(1000))]
        with out.part("row"):
            out.add(begin + between.join(cells) + end)
        out.add("\n")

    return unit


def item(mark: str) -> Unit:
    def unit(out: Labelled, chances: Chances) -> None:
        with out.part("item"):
            out.add(mark)
            add_sentences(out, *chances.drawn())
        out.add("\n")

    return unit


def code(template: str) -> Unit:
    """A function of a template: %h, %m, %t are names, %H, %M, %T sentences, of the three parts."""

    def unit(out: Labelled, chances: Chances) -> None:
        sources = dict(zip("hmt", chances.drawn(), strict=True))
        head = (0, 0)
        for template_line in template.splitlines():
            line = _filled(template_line, sources)
            start = len(out.text)
            with out.part("line"):
                out.add(line)
            if "%h(" in template_line:
                head = (start, len(out.text))
            out.add("\n")
        out.pairs.append(("block", head, (head[1], len(out.text))))

    return unit


def _filled(line: str, sources: dict[str, random.Random]) -> str:
    for letter, chance in sources.items():
        while f"%{letter}" in line:
            line = line.replace(f"%{letter}", name(chance), 1)
        while f"%{letter.upper()}" in line:
            line = line.replace(f"%{letter.upper()}", clause(chance).capitalize() + ".", 1)
    return line


PYTHON = '''\
def %h(values, size):
    """%H"""
    %h = [size, (len(values) + 1) // 2]
    for %m in values:
        if %m not in (size, None):
            log("%M", {"key": [size, 1]})
        else:
            raise ValueError(f"%M {size}")
    %t = {value: "%T" for value in values}
    return %t


'''
JAVASCRIPT = """\
/* %H */
export function %h(values, size) {
  const %h = values.filter((value) => value !== size);
  for (const value of values) {
    if (value.%m === size) {
      console.log("%M", { key: [size, 1] });
    }
  }
  // %M
  return values.map((%t) => "%T");
}

"""
C = """\
/* %H
 * %M */
static int %h(const char *values, size_t size)
{
        int %m = 0;
        for (size_t i = 0; i < size; i++) {
                if (values[i] == '%%')
                        printf("%M\\n", (int)i);
        }
        %t = total(values, (size + 1) * 2);
        return log_error("%T");
}

"""
GO = """\
// %H
func %h(values []string, size int) (string, error) {
\tfor _, %m := range values {
\t\tif len(%m) > size {
\t\t\treturn "", fmt.Errorf("%M %d", size)
\t\t}
\t}
\t%t := map[string]int{"%T": size}
\treturn join(%t), nil
}

"""
JAVA = """\
    /**
     * %H
     * %M
     */
    public static List<String> %h(List<String> values, int size) {
        for (String %m : values) {
            if (%m.length() > size) {
                throw new IllegalArgumentException("%M" + size);
            }
        }
        String %t = "%T";
        return List.of(%t, values.get(0));
    }

"""

_COLUMNS = ["station", "number", "notes on the sources", "kept by", "remarks of the keeper", "year"]


def _header(begin: str, between: str, end: str, rule: str = "") -> Callable[[Labelled], None]:
    def add(out: Labelled) -> None:
        first, _ = out.add(begin + between.join(_COLUMNS) + end + "\n" + rule)
        out.parts.append(("header", first, len(out.text) - 1))

    return add


@dataclass(frozen=True)
class Kind:
    """A kind of document: what its units are, and what stands before and behind them."""

    unit: Unit
    held_out: bool = False
    header: Callable[[Labelled], object] | None = None
    footer: str = ""
    introduced: bool = False  # whether a paragraph stands before the units, and one behind them


_RULE = "|" + "---|" * 6 + "\n"

KINDS = {
    "chat": Kind(chat("<|{role}|>\n", "\n", "user", "assistant")),
    "chat-ml": Kind(chat("<|im_start|>{role}\n", "<|im_end|>\n", "user", "assistant")),
    "q-and-a": Kind(asked("Q: ", "\nA: ")),
    "python": Kind(code(PYTHON), header=lambda out: out.add("import sys\n\n\n")),
    "javascript": Kind(code(JAVASCRIPT)),
    "c": Kind(code(C), header=lambda out: out.add("#include <stdio.h>\n\n")),
    "markdown-table": Kind(
        row("| ", " | ", " |"), header=_header("| ", " | ", " |", _RULE), introduced=True
    ),
    "csv": Kind(row("", ",", ""), header=_header("", ",", "")),
    "markdown-list": Kind(item("- "), introduced=True),
    "prose": Kind(prose),
    "prose-wrapped": Kind(wrapped, held_out=True),
    "dialogue": Kind(chat("{role}: ", "\n\n", "Human", "Assistant"), held_out=True),
    "tsv": Kind(row("", "\t", ""), held_out=True, header=_header("", "\t", "")),
    "go": Kind(code(GO), held_out=True, header=lambda out: out.add("package main\n\n")),
    "java": Kind(
        code(JAVA), held_out=True, header=lambda out: out.add("class Main {\n\n"), footer="}\n"
    ),
}


def corpus(kinds: tuple[str, ...] = tuple(KINDS), pairs: int = 40) -> list[Labelled]:
    """`pairs` pairs of documents of each kind; the second shares a passage with the first."""
    return [
        document
        for kind in kinds
        for number in range(pairs)
        for document in _pair(kind, random.Random(f"{kind} {number}"))
    ]


def _pair(kind: str, chance: random.Random) -> tuple[Labelled, Labelled]:
    def fresh(count: int) -> list[Chances]:
        return [Chances(*(chance.randrange(10**9) for _ in range(3))) for _ in range(count)]

    def otherwise(one: Chances, **parts: int) -> Chances:
        return Chances(**({"head": one.head, "middle": one.middle, "tail": one.tail} | parts))

    shared = fresh(chance.randint(1, 4))
    again = list(shared)
    if chance.random() < 0.8:
        again[0] = otherwise(again[0], head=chance.randrange(10**9))
    if chance.random() < 0.8:
        again[-1] = otherwise(again[-1], tail=chance.randrange(10**9))
    first = fresh(chance.randint(0, 2)) + shared + fresh(chance.randint(0, 2))
    second = fresh(chance.randint(0, 2)) + again + fresh(chance.randint(0, 2))
    introductions = chance.randrange(10**9), chance.randrange(10**9)
    return tuple(  # type: ignore[return-value]
        _document(kind, units, introduction)
        for units, introduction in zip((first, second), introductions, strict=True)
    )


def _document(kind: str, units: list[Chances], introduction: int) -> Labelled:
    out, form = Labelled(kind), KINDS[kind]
    chances = Chances(introduction, introduction + 1, introduction + 2)
    if form.introduced:
        prose(out, chances)
    if form.header:
        form.header(out)
    start = len(out.text)
    for one in units:
        form.unit(out, one)
    headers = [part for part in out.parts if part[0] == "header"]
    out.pairs += [("header", part[1:], (start, len(out.text))) for part in headers]
    out.add(form.footer)
    if form.introduced:
        out.add("\n")
        prose(out, Chances(introduction + 3, introduction + 4, introduction + 5))
    return out
