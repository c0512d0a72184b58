"""API keys, tokens, passwords and private keys, by rules (unrote.pii.secret_rules).

A rule runs where the prefilter says that its pattern may match. A private key is found by its first
line; the finding runs to the end of the key, and there is none where no key follows.

Nothing is verified: no rule may reach a network.
"""

from collections.abc import Sequence

import regex

from unrote.pii.config import SECRET, Config
from unrote.pii.findings import Finding
from unrote.pii.prefilter import is_wide, is_within_lines
from unrote.pii.recognizers import Expression, Span
from unrote.pii.secret_rules import FLAGS, SURE, Rule, own_rules

LONGEST_KEY = 65_536
"""Code points. A key's end is looked for this far."""

PRIVATE_KEY = "private-key"
PASSWORD_IN_URL = "password-in-url"  # noqa: S105 (the name of a rule)

_key_begin = regex.compile("-{4,5} ?BEGIN ")
_key_end = regex.compile(r"-{4,5} ?END [^\n]{0,80}?-{4,5}|\nPrivate-MAC:[^\S\n]*[0-9A-Fa-f]*")
_key_rest = regex.compile(
    r"(?<=File-\d):[^\n]*"
    r"| ?-*(?:(?:\\[nr]| )+[A-Za-z0-9+/=]{16,})*(?:(?:\\[nr])+[A-Za-z0-9+/]+={0,2})?[ \r]*"
)
"""The rest of a key's first line, in which line breaks may be written as escapes."""
_key_line = regex.compile(
    r"[^\S\n]*\n[^\S\n]*(?:[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/]{2,}={1,2}|=[A-Za-z0-9+/]{4}"
    r"|(?:Proc-Type|DEK-Info|Version|Comment|Hash|Subject|Encryption|(?:Public|Private)-Lines"
    r"|Private-Hash): [^\n]*?|(?P<blank>))(?=[^\S\n]*(?:\n|\Z))"
)
_key_body = regex.compile(r"[A-Za-z0-9+/]{16}")


def recognizers(config: Config) -> list["Secrets"]:
    """One recogniser for each rule of the package and of the configuration, in that order."""
    return [Secrets(rule, config.max_seconds) for rule in (*own_rules(), *config.secret_rules)]


def without_hosts(text: str, findings: Sequence[Finding]) -> list[Finding]:
    """The findings without the e-mail addresses that are none: of `//user:password@host` the
    password, or the end of it, and the host.
    """
    passwords = {finding.end for finding in findings if finding.origin == PASSWORD_IN_URL}
    return [
        finding
        for finding in findings
        if finding.type != "EMAIL_ADDRESS"
        or text.find("@", finding.start, finding.end) not in passwords
    ]


class Secrets:
    """A rule as a recogniser (pii.recognizers)."""

    entity = SECRET
    weak: frozenset[int] = frozenset()

    def __init__(self, rule: Rule, max_seconds: float) -> None:
        self.rule = rule
        self.origin = rule.name
        self.context: list[str] = []
        self.expressions: tuple[Expression, ...] = (
            Expression(rule.pattern, FLAGS, is_wide(rule.pattern)),
        )
        self.within_lines = is_within_lines(rule.pattern, FLAGS)
        self._limit = max_seconds

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:  # noqa: ARG002
        return [Span(*found) for found in self.rule.find(text, self._limit)]

    def whole(self, text: str, spans: list[Span]) -> list[Span]:
        """In the whole document: for the first lines of private keys all of each key, and nothing
        where no key follows.
        """
        if self.origin != PRIVATE_KEY or not spans:
            return spans
        spans = sorted(spans)
        ends = [*(span.start for span in spans[1:]), len(text)]
        keys = (_whole_key(text, span, end) for span, end in zip(spans, ends, strict=True))
        return [key for key in keys if key is not None]


def _whole_key(text: str, span: Span, next_key: int) -> Span | None:
    """The key with this first line, which ends before the next: so all of them take linear time."""
    reach = min(next_key, span.end + LONGEST_KEY)
    end = _key_end.search(text, span.end, reach)
    if end is not None and _key_begin.search(text, span.end, end.start()) is None:
        last = end.end()
    else:
        last = _last_key_line(text, span.end, reach)
    if _key_body.search(text, span.end, last) is None:
        return None  # the words alone, in prose
    return Span(span.start, last, SURE)


def _last_key_line(text: str, at: int, reach: int) -> int:
    """Where a key without a last line ends; `at` is in its first."""
    rest = _key_rest.match(text, at, reach)
    end, at = at + len(rest.group().rstrip()), rest.end()
    while (line := _key_line.match(text, at, reach)) is not None:
        at = line.end()
        if line["blank"] is None:
            end = at
    return end
