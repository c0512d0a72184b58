"""Rules that say what secrets look like: those of the package (secrets.toml) and of users (the
setting `pii.secret_rules`). A rule is a table of TOML:

name             lower-case letters, digits and dashes; the `origin` of its findings
pattern          in the syntax of Python's module re; a group `secret` is the secret, else all that
                 matches; a group `prefix` is what surrogates keep (of the package's own rules)
edges            whether it begins only where no letter, digit, "_" or "-" stands before (true)
entropy          bits per character from which a match counts (1.5: no "xxxxxxxx", no "abababab");
                 0: whatever it is, also where it says "example"
check            what else it has to fulfil, by name (pii.secret_checks)
checksum         that its issuer gives, by name: a secret that has it counts more
source           where its form is documented
examples         templates (pii.secret_templates) of texts in which it finds a secret
counterexamples  the same of texts in which it finds none

Examples are templates, so that nothing that holds rules looks as if it held secrets.
"""

import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

import regex

from unrote.corpus.errors import ConfigError
from unrote.pii.prefilter import unreadable
from unrote.pii.secret_checks import CHECKS, CHECKSUMS, Candidate, entropy, is_filler
from unrote.pii.secret_templates import expanded

EDGE = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
"""Where a token may begin: also behind an escaped line break, and behind an escape of a URL."""

SURE = 1.0
LIKELY = 0.7
"""The score of what lacks the checksum that its issuer gives, or is known by its name alone."""

FLAGS = int(regex.M)
"""Those of all patterns."""

SETTING = "pii.secret_rules"

TRIES = 8
"""So many texts of each example are made where rules are checked."""

_name = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_fuzzy = re.compile(r"(?<!\\)\{(?!\d*,?\d*\})(?![^\[]*\])")
"""A brace that the `regex` package may read as fuzzy matching, and others as itself."""


@dataclass(frozen=True)
class Rule:
    """One rule, as the module's description has it. Small and picklable."""

    name: str
    pattern: str
    source: str = ""
    edges: bool = True
    entropy: float = 1.5
    check: str = ""
    checksum: str = ""
    examples: tuple[str, ...] = ()
    counterexamples: tuple[str, ...] = ()

    @property
    def compiled(self) -> Any:
        return _compiled(self.pattern, self.edges)

    def find(self, text: str, timeout: float | None = None) -> Iterator[tuple[int, int, float]]:
        """Start, end and score of the secrets in a text. Raises TimeoutError."""
        expression = self.compiled
        group = "secret" if "secret" in expression.groupindex else 0
        keeps = "prefix" if "prefix" in expression.groupindex else 0
        for match in expression.finditer(text, timeout=timeout):
            start, end = match.span(group)
            value = match[group]
            if (markup := _markup.search(value)) is not None:
                value = value[: markup.start()]
                end = start + len(value)
            if start == end:
                continue
            solid = value[len(match[keeps]) :] if keeps and not group else value
            if self.entropy and (is_filler(solid) or entropy(solid) < self.entropy):
                continue
            if not self.check or CHECKS[self.check](Candidate(match, solid, start, end)):
                yield start, end, self._score(value)

    def _score(self, value: str) -> float:
        if self.check in NAMED_ONLY:
            return LIKELY
        if self.checksum and not CHECKSUMS[self.checksum](value):
            return LIKELY
        return SURE


_markup = regex.compile(r"</|\"/?>|&(?:quot|apos|lt|gt|#3[49]|#x2[27])(?![A-Za-z0-9])")
"""Where a value without quotes ends in HTML and XML."""

NAMED_ONLY = frozenset({"assignment", "password", "token"})
"""Checks of values that nothing but their names and their looks tell."""


@cache
def _compiled(pattern: str, edges: bool) -> Any:
    return regex.compile(f"{EDGE}(?:{pattern})" if edges else pattern, FLAGS)


@cache
def own_rules() -> tuple[Rule, ...]:
    """Those of the package, in the order of the file."""
    text = files("unrote.pii").joinpath("secrets.toml").read_text("utf-8")
    return tuple(_rule(table, "secrets.toml") for table in tomllib.loads(text)["rule"])


@cache
def prefixes() -> Any:
    """What the package's rules keep of a secret in its surrogate, as one expression."""
    found = [re.search(r"\(\?P<prefix>(?:[^()]|\([^()]*\))*\)", one.pattern) for one in own_rules()]
    kept = {match.group().replace("(?P<prefix>", "(?:") for match in found if match}
    return regex.compile("|".join(sorted(kept)), regex.POSIX)  # the longest


def kept_prefix(value: str) -> str:
    """The beginning of a secret that says whose it is: "ghp_" of a token of GitHub's."""
    match = prefixes().match(value) if len(value) >= MIN_PREFIXED else None
    return match.group() if match and len(value) - match.end() >= MIN_PREFIXED // 2 else ""


MIN_PREFIXED = 20
"""Characters of the shortest secret whose prefix is kept: of a password none is."""


def user_rules(tables: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of a configuration. Raises ConfigError for one that is wrong, and says why."""
    made = tuple(checked(_rule(table, SETTING)) for table in tables)
    taken = {one.name for one in own_rules()}
    for one in made:
        if one.name in taken:
            raise ConfigError(f"{SETTING}: a rule {one.name!r} is there already: rename yours.")
        taken.add(one.name)
        if problem := unreadable(one.pattern, FLAGS):
            raise ConfigError(
                f"{SETTING}, rule {one.name!r}: Hyperscan, which looks where patterns may match, "
                f"cannot read its pattern: {problem} Write it with classes of characters, counts "
                "and groups."
            )
    return made


_KINDS: Mapping[str, Any] = {
    "edges": bool,
    "entropy": (int, float),
    "examples": list,
    "counterexamples": list,
}


def _rule(table: Any, source: str) -> Rule:
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: a rule is a table, not {table!r}.")
    known = {one.name: one for one in fields(Rule)}
    name = table.get("name", "")
    where = f"{source}, rule {name!r}"
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(
            f"{where}: {', '.join(unknown)} is no part of a rule. Its parts: {', '.join(known)}."
        )
    values: dict[str, Any] = {}
    for key, value in table.items():
        wanted: Any = _KINDS.get(key, str)
        strings = not isinstance(value, list) or all(isinstance(one, str) for one in value)
        if not isinstance(value, wanted) or not strings or (key == "entropy" and value is True):
            raise ConfigError(f"{where}: {key} = {value!r} is no value for it.")
        values[key] = tuple(value) if isinstance(value, list) else value
    for needed in ("name", "pattern"):
        if not values.get(needed):
            raise ConfigError(f"{where}: it has no {needed}.")
    return Rule(**values)


def checked(rule: Rule, source: str = SETTING) -> Rule:
    """The rule, if it can be compiled, names what there is, and does to its examples what they say.
    Raises ConfigError.
    """
    where = f"{source}, rule {rule.name!r}"
    if not _name.fullmatch(rule.name):
        raise ConfigError(f"{where}: a name has lower-case letters, digits and single dashes.")
    if problem := _wrong_pattern(rule) or _wrong_check(rule):
        raise ConfigError(f"{where}: {problem}")
    if not rule.examples:
        raise ConfigError(
            f"{where}: it has no examples. Give at least one text that it has to find, as a "
            "template: 'acme_{alnum:32}'."
        )
    for wanted, templates in ((True, rule.examples), (False, rule.counterexamples)):
        for template in templates:
            _try(rule, template, wanted, where)
    return rule


def _wrong_pattern(rule: Rule) -> str:
    try:
        with warnings.catch_warnings(action="error"):  # sets of sets are read differently
            re.compile(rule.pattern, FLAGS)
        empty = rule.compiled.search("") is not None
    except (regex.error, re.error, FutureWarning) as error:
        return f"its pattern is no regular expression of Python's module re: {error}."
    if _fuzzy.search(rule.pattern):
        return "a brace in its pattern begins no count: write \\{ where the brace itself is meant."
    if empty:
        return "its pattern matches nothing at all, so everywhere."
    return ""


def _wrong_check(rule: Rule) -> str:
    for kind, name, known in (
        ("check", rule.check, CHECKS),
        ("checksum", rule.checksum, CHECKSUMS),
    ):
        if name and name not in known:
            return f"no {kind} is called {name!r}. There are {', '.join(known)}."
    if rule.check == "assignment" and "name" not in rule.compiled.groupindex:
        return "its check wants a group (?P<name>…) of the variable's name."
    return ""


def _try(rule: Rule, template: str, wanted: bool, where: str) -> None:
    random = Random(template)  # noqa: S311 (not for secrecy: the same texts each time)
    for _ in range(TRIES):
        try:
            text = expanded(template, random)
        except ValueError as error:
            raise ConfigError(f"{where}: in {template!r} {error}.") from None
        if any(rule.find(text)) != wanted:
            said = "does not find a secret in its example" if wanted else "finds a secret in"
            raise ConfigError(
                f"{where}: it {said} {template!r}. Mend the pattern, entropy or check, or the text."
            )
