r"""URLs: what Presidio's four URL expressions find, tried only where they can begin.

All four hold the same host: `(www\d{0,3}[.])?[a-z0-9.\-]{1,253}[.](top-level domain)(/path)?`.
`finditer` tries 675 top-level domains at every character of the text. But

* a host is a dot with a top-level domain behind it and a host character before it (a *dot* below),
  and nothing but host characters from its beginning to that dot, at most 260 of them;
* what follows the domain is optional. So an expression matches from any index in the run of host
  characters before a dot that is within 253 characters of it, and the leftmost match from index i
  begins at or near the beginning of the first dot's run;
* an expression with a scheme or a quote begins at that scheme, or at a quote before the run.

A kernel does that (`pii.url_spans`). Where a text has letters such as "ſ" and the Kelvin sign,
which these expressions take for ASCII's, Presidio's compiled ones are tried at those indices.
No match holds a line break, so any run of whole lines can be searched alone.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import regex

from unrote.pii.url_spans import LONGEST, WITH_WWW, domains_of, url_spans

Span = tuple[int, int]


def every_domain(base: str) -> list[str]:
    """The top-level domains in Presidio's expression, in its order."""
    return list(regex.findall(r"\(\?:([a-z]+)\)", base))


def domains(base: str) -> tuple[str, ...]:
    """The top-level domains in Presidio's expression; those that another begins are left out.

    A text that begins with any of them begins with one of these.
    """
    listed = sorted(set(every_domain(base)))
    kept: list[str] = []
    for domain in listed:
        if not (kept and domain.startswith(kept[-1])):
            kept.append(domain)
    return tuple(kept)


def dot_expression(base: str) -> str:
    """What the prefilter looks for: a host character, a dot, a top-level domain."""
    return rf"[a-z0-9.\-]\.(?:{'|'.join(domains(base))})"


class UrlFinder:
    """The matches of each of the four expressions, in their order.

    They are compiled when a text first needs them, which few do: it takes a sixth of a second.
    """

    def __init__(self, expressions: list[str], base: str, flags: int) -> None:
        self._expressions, self._base, self._flags = expressions, base, flags
        self._domains = domains_of(every_domain(base))

    @cached_property
    def _finders(self) -> tuple[Callable[[str, list[int], float], Iterator[Span]], ...]:
        flags = self._flags
        standard, bare, quoted, quoted_bare = (regex.compile(e, flags) for e in self._expressions)
        scheme = regex.compile(r"https?://", flags)
        quoted_scheme = regex.compile(r"""["']https?://""", flags)
        return (
            lambda text, _, limit: _from_leads(standard, scheme, text, limit),
            lambda text, dots, limit: self._bare(bare, text, dots, limit),
            lambda text, _, limit: _from_leads(quoted, quoted_scheme, text, limit),
            lambda text, dots, limit: self._quoted(quoted_bare, text, dots, limit),
        )

    @cached_property
    def _dot(self) -> Any:
        behind = "|".join(domains(self._base))
        return regex.compile(rf"(?<=[a-z0-9.\-])\.(?={behind})", self._flags)

    @cached_property
    def _run(self) -> Any:
        return regex.compile(rf"(?r)[a-z0-9.\-]{{0,{WITH_WWW}}}", self._flags)

    def find(self, text: str, limit: float) -> list[list[Span]]:
        """For each expression its matches in whole lines of a text, as `finditer` has them.

        `limit` is in seconds for one match of one expression; TimeoutError where it takes longer.
        """
        dots = [match.start() for match in self._dot.finditer(text)]
        if not dots:
            return [[], [], [], []]
        return [list(finder(text, dots, limit)) for finder in self._finders]

    def outermost(self, text: str) -> list[tuple[int, int, int]] | None:
        """All matches without those that another one holds which is as sure; as `url_spans`."""
        return url_spans(text, self._domains)

    def _bare(self, bare: Any, text: str, dots: list[int], limit: float) -> Iterator[Span]:
        after = 0
        for dot in dots:
            if dot <= after:
                continue
            for start in range(max(after, self._beginning(text, dot)), dot):
                match = bare.match(text, start, timeout=limit)
                if match is not None:
                    yield match.span()
                    after = match.end()
                    break
                if dot - start <= LONGEST:
                    break

    def _quoted(self, quoted: Any, text: str, dots: list[int], limit: float) -> Iterator[Span]:
        after, tried = 0, -1
        for dot in dots:
            quote = self._beginning(text, dot) - 1
            if quote < after or quote == tried or text[quote] not in "\"'":
                continue
            tried = quote
            match = quoted.match(text, quote, timeout=limit)
            if match is not None:
                yield match.span()
                after = match.end()

    def _beginning(self, text: str, dot: int) -> int:
        """Where the run of host characters before `dot` begins; not further back than 260."""
        return int(self._run.match(text, 0, dot).start())


def _from_leads(expression: Any, lead: Any, text: str, limit: float) -> Iterator[Span]:
    """The matches of an expression all of whose matches begin with a match of `lead`."""
    after = 0
    while (begin := lead.search(text, after)) is not None:
        match = expression.match(text, begin.start(), timeout=limit)
        if match is not None:
            yield match.span()
            after = match.end()
        else:
            after = begin.start() + 1
