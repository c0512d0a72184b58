"""One value in its many spellings: separators, letter case, the escapes of URLs, HTML and JSON, and
`(at)` for a sign.

A text is cut into runs of letters and digits; what stands between two of them is dropped if it is
a separator. A value is in a text if it begins and ends where such runs do.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

_ESCAPE = re.compile(
    r"%([2-7][0-9A-Fa-f])|\\u(00[2-7][0-9A-Fa-f])|\\x([2-7][0-9A-Fa-f])"
    r"|(&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,31});)"
)
_WORD_FOR_SIGN = re.compile(r" ?[(\[{<] ?(at|dot) ?[)\]}>] ?", re.IGNORECASE)
_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_RUN = re.compile(r"[^\W_]+")
_SEPARATOR = re.compile(r"[ \t.\-\u2010-\u2015\u2212\u00b7\u00a0\u2000-\u200a\u202f\u3000]{1,3}")
_BARRIER = "\n"
HEAD = 6
"""Characters of a value by which it is looked up; as many letters and digits it has at least."""


class Sought:
    """Values (cores) that are looked for, by their first characters."""

    def __init__(self, values: Iterable[str]) -> None:
        self._by_head: dict[str, list[str]] = {}
        for value in values:
            self._by_head.setdefault(value[:HEAD], []).append(value)

    def beginning(self, head: str) -> Sequence[str]:
        return self._by_head.get(head, ())


class Spelled:
    """A text without what spellings differ in.

    plain: its runs of letters and digits in lower case, and what stands between them.
    starts, ends: where in `plain` runs begin and end.
    """

    def __init__(self, text: str) -> None:
        text = _decoded(text)
        parts: list[str] = []
        self.starts: list[int] = []
        self.ends: set[int] = set()
        size = last = 0
        for run in _RUN.finditer(text):
            between = _between(text[last : run.start()])
            parts += (between, run[0])
            self.starts.append(size + len(between))
            size += len(between) + len(run[0])
            self.ends.add(size)
            last = run.end()
        self.plain = "".join(parts)

    @property
    def core(self) -> str:
        """From the first letter or digit, or the sign before it, to the last."""
        if not self.starts:
            return ""
        first, last = self.starts[0], max(self.ends)
        return self.plain[first - self.plain.startswith("+", max(0, first - 1), first) : last]

    def holds(self, values: Collection[str] | Sought) -> set[str]:
        """Those of `values` (cores) that are in the text, alone: no digit beside one of theirs."""
        sought = values if isinstance(values, Sought) else Sought(values)
        found = set()
        for run in self.starts:
            signed = run > 0 and self.plain[run - 1] == "+"
            for start in (run - 1, run) if signed else (run,):
                for value in sought.beginning(self.plain[start : start + HEAD]):
                    end = start + len(value)
                    is_there = end in self.ends and self.plain.startswith(value, start)
                    if is_there and not self._is_longer(start, end):
                        found.add(value)
        return found

    def _is_longer(self, start: int, end: int) -> bool:
        """Whether plain[start:end] begins or ends within a number."""
        before, behind = self.plain[max(0, start - 1) : start + 1], self.plain[end - 1 : end + 1]
        return any(len(pair) == 2 and pair.isdigit() for pair in (before, behind))


def _decoded(text: str) -> str:
    if "%" in text or "&" in text or "\\" in text:
        text = _ESCAPE.sub(_unescaped, text)
    text = _WORD_FOR_SIGN.sub(lambda match: "@" if match[1].lower() == "at" else ".", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
    return text.casefold()


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else html.unescape(match[4])


def _between(gap: str) -> str:
    """What is left of what stands between two runs: nothing of a separator, the rest as it is."""
    if _SEPARATOR.fullmatch(gap) or not gap:
        return ""
    if "\n" in gap or "\r" in gap or len(gap) > HEAD:
        return _BARRIER
    return _SEPARATOR.sub("", gap)
