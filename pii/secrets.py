"""API keys, tokens and private keys, by the detectors of detect-secrets.

A detector is a list of expressions that are looked for line by line. detect-secrets gives back the
strings that their groups hold: the prefix alone of `(ghp|gho)_[A-Za-z0-9_]{36}`, and a password
without its offset, though the line may spell it twice. So the expressions are run here, and a
`Form` says for each detector which part of a match is the secret, and how it goes on behind the
match: an expression counts on the lengths that tokens had when it was written, and of a longer one
a part would stay. A private key is found by its first line; the finding runs to the end of the key.

Only detectors of a certain shape run: not the one that looks for words such as "password", nor
those that measure entropy, which in prose and documentation find little but examples and hashes.
Nothing is verified: no detector may reach a network. Lines that say `pragma: allowlist secret` are
read as any other.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import regex
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.ip_public import IPPublicDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector

from unrote.pii.config import SECRET
from unrote.pii.findings import Finding
from unrote.pii.recognizers import Expression, Span

SCORE = 1.0
LONGEST_KEY = 65_536
"""Code points. A key's end is looked for this far."""

_LETTERS = "[A-Za-z0-9_]*"
_DASHED = "[A-Za-z0-9_-]*"


class Form(NamedTuple):
    """Where the secrets are in what a detector's expression matched.

    group   the group that holds the secret, of an expression that has groups; 0: all that matched
    part    an expression whose first group is a secret, wherever it is found within that; "": all
    tail    what belongs to the secret of the characters behind it
    """

    group: int = 0
    part: str = ""
    tail: str = _LETTERS


FORMS: Mapping[str, Form] = {
    "AWSKeyDetector": Form(group=1),
    # Matched with the characters around it.
    "ArtifactoryDetector": Form(part="([A-Za-z0-9]+)"),
    "AzureStorageKeyDetector": Form(part="AccountKey=(.+)", tail="[A-Za-z0-9+/=]*"),
    # A password may hold an "@", which the expression takes for its end. A host holds none.
    "BasicAuthDetector": Form(group=1, tail=r"""(?:@[^\s@/?#\[\]()<>"',;]*(?=@))*"""),
    "CloudantDetector": Form(group=1),
    "DiscordBotTokenDetector": Form(tail=_DASHED),
    "GitHubTokenDetector": Form(),
    # Routable tokens end in two more parts.
    "GitLabTokenDetector": Form(tail=_DASHED + r"(?:\.[0-9a-z]{2}\.[A-Za-z0-9_-]{7,})?"),
    "IbmCloudIamDetector": Form(group=1),
    "IbmCosHmacDetector": Form(group=1),
    # The expression ends before the signature; a full stop may end the sentence.
    "JwtTokenDetector": Form(part=r"(.+?)\.?\Z", tail=r"(?:\.[A-Za-z0-9_=-]+)*"),
    "MailchimpDetector": Form(),
    # Matches from the line's first address to its last key, or to the end of the line.
    "NpmDetector": Form(part=r"/:_authToken=\s*(npm_[A-Za-z0-9_-]+|[A-Fa-f0-9-]{36})"),
    "OpenAIDetector": Form(tail=_DASHED),
    "PrivateKeyDetector": Form(tail=""),
    "PypiTokenDetector": Form(tail=_DASHED),
    "SendGridDetector": Form(tail=_DASHED),
    "SlackDetector": Form(),
    "SoftlayerDetector": Form(group=1),
    "SquareOAuthDetector": Form(tail=_DASHED),
    "StripeDetector": Form(),
    "TelegramBotTokenDetector": Form(tail=_DASHED),
    "TwilioKeyDetector": Form(),
}
"""By the detector's class. One that is not here takes all of a match (tests/pii/test_secrets.py
says when detect-secrets has a new one)."""

_key_lead = regex.compile(r"(?r)-{4,5} ?")
_key_begin = regex.compile("-{4,5} ?BEGIN ")
_key_end = regex.compile(r"-{4,5} ?END [^\n]*?-{4,5}|\nPrivate-MAC:[^\S\n]*[0-9A-Fa-f]*")
_key_framed = regex.compile(" ?-{4}|(?<=File-2):")
_key_rest = regex.compile(
    r"(?<=File-2):[^\n]*"
    r"| ?-*(?:(?:\\[nr]| )+[A-Za-z0-9+/=]{16,})*(?:(?:\\[nr])+[A-Za-z0-9+/]+={0,2})?[ \r]*"
)
"""The rest of a key's first line, in which line breaks may be written as escapes."""
_key_line = regex.compile(
    r"[^\S\n]*\n[^\S\n]*(?:[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/]{2,}={1,2}|=[A-Za-z0-9+/]{4}"
    r"|(?:Proc-Type|DEK-Info|Version|Comment|Hash|Subject|Encryption|(?:Public|Private)-Lines"
    r"|Private-Hash): [^\n]*?|(?P<blank>))(?=[^\S\n]*(?:\n|\Z))"
)


def detectors() -> list["Secrets"]:
    """One recogniser per detector, by name."""
    classes: Any = get_mapping_from_secret_type_to_class().values()
    left_out = (IPPublicDetector, KeywordDetector)
    made = [
        found
        for found in classes
        if issubclass(found, RegexBasedDetector)
        and not inspect.isabstract(found)
        and found not in left_out
    ]
    return [Secrets(found()) for found in sorted(made, key=lambda one: one.__name__)]


def without_hosts(text: str, findings: Sequence[Finding]) -> list[Finding]:
    """The findings without the e-mail addresses that are none: of `//user:password@host` the
    password, or the end of it, and the host.
    """
    passwords = {finding.end for finding in findings if finding.origin == "BasicAuthDetector"}
    return [
        finding
        for finding in findings
        if finding.type != "EMAIL_ADDRESS"
        or text.find("@", finding.start, finding.end) not in passwords
    ]


class Secrets:
    """One detector of detect-secrets as a recogniser (pii.recognizers)."""

    entity = SECRET
    within_lines = True
    weak: frozenset[int] = frozenset()

    def __init__(self, detector: Any) -> None:
        self.origin = type(detector).__name__
        self.context: list[str] = []
        self._denylist = tuple(detector.denylist)
        self.expressions = tuple(
            Expression(expression.pattern, expression.flags & regex.I | regex.M)
            for expression in self._denylist
        )
        form = FORMS.get(self.origin, Form())
        self._group = form.group
        self._part = regex.compile(form.part) if form.part else None
        self._tail = regex.compile(form.tail)
        self._is_key = isinstance(detector, PrivateKeyDetector)
        self._valid = detector.is_formally_valid if isinstance(detector, JwtTokenDetector) else None

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:
        start, spans = 0, []
        for line in text.split("\n"):
            for index in fired:
                found = self._in_line(self._denylist[index], line)
                spans += [Span(start + low, start + high, SCORE) for low, high in found]
            start += len(line) + 1
        return spans

    def _in_line(self, expression: Any, line: str) -> Iterator[tuple[int, int]]:
        """The secrets of one expression. The next is looked for behind a secret, not behind all
        that was matched, for two may share the character between them.
        """
        at = 0
        while (match := expression.search(line, at)) is not None:
            at = max(match.start() + 1, match.end())
            if self._valid is not None and not self._valid(match.group()):
                continue
            for low, high in self._parts(match):
                high = self._tail.match(line, high).end()
                yield low, high
                at = high

    def _parts(self, match: Any) -> list[tuple[int, int]]:
        group = self._group if match.re.groups else 0
        low, high = match.span(group)
        if self._part is None:
            return [(low, high)] if low < high else []
        return [part.span(1) for part in self._part.finditer(match.string, low, high)]

    def extend(self, text: str, span: Span) -> Span:
        """In the whole document: for the first line of a private key, all of the key."""
        if not self._is_key:
            return span
        lead = _key_lead.match(text, 0, span.start)
        reach = min(len(text), span.end + LONGEST_KEY)
        framed = lead is not None or _key_framed.match(text, span.end, reach) is not None
        if lead is not None:
            span = span._replace(start=lead.start())
        end = _key_end.search(text, span.end, reach) if framed else None
        if end is not None and _key_begin.search(text, span.end, end.start()) is None:
            return span._replace(end=end.end())
        return span._replace(end=_last_key_line(text, span.end, reach))


def _last_key_line(text: str, at: int, reach: int) -> int:
    """Where a key without a last line ends; `at` is in its first."""
    rest = _key_rest.match(text, at, reach)
    in_line = rest.group().rstrip()
    if not in_line.strip(" -") and not text.startswith("\n", rest.end()):
        return at  # the words alone, in prose
    end, at = at + len(in_line), rest.end()
    while (line := _key_line.match(text, at, reach)) is not None:
        at = line.end()
        if line["blank"] is None:
            end = at
    return end
