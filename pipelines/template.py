"""TOML files for a start: every setting with what it means, and what it is for a kind of corpus."""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from pydantic import BaseModel

from unrote.pipelines.config import Settings


@dataclass(frozen=True)
class Preset:
    """Settings of a kind of corpus. about: what it is for; given: what is not the default."""

    about: str
    given: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    "default": Preset(""),
    "web": Preset(
        "For pages of the web: HTML's references and invisible characters make no difference.",
        {"input.drop_ignorable": True, "input.unescape_html": True},
    ),
    "chat": Preset(
        "For chats, a row of turns each. Passages that turns share are reported, not cut.",
        {"input.text": "messages[].content"},
    ),
    "instruction": Preset(
        "For instructions and their answers, in columns. Passages are reported, not cut.",
        {"input.text": ["instruction", "input", "output"]},
    ),
    "code": Preset(
        "For source code: whole lines are cut, and of numbers only addresses are taken for data.",
        {
            "input.text": "content",
            "dedup.passages.boundary": "line",
            "pii.recognizers": ["EMAIL_ADDRESS", "IP_ADDRESS"],
        },
    ),
}
"""By the name that `unrote init --preset` takes."""


@dataclass(frozen=True)
class PolicyPreset:
    """Limits of a kind of corpus.

    about: what it is for, and why the limits are these. limits: by measure, what is not the
    template's. types: of findings of one type, per million words.
    """

    about: str
    limits: Mapping[str, float] = field(default_factory=dict)
    types: Mapping[str, float] = field(default_factory=dict)


POLICIES: Mapping[str, PolicyPreset] = {
    "default": PolicyPreset(""),
    "strict": PolicyPreset(
        "For data that is released to strangers, cleaned before: no copy, no secret, no trace of "
        "earlier scrubbing, nothing at risk. What is left is what detectors take for personal data "
        "by mistake.",
        {
            "exact_share": 0,
            "near_share": 0.005,
            "duplicate_share": 0.005,
            "passage_share": 0.02,
            "findings_per_million_words": 10,
            "markers_per_million_words": 0,
            "extracted_per_million_words": 10,
            "at_risk_per_million_words": 0,
            "rejects_share": 0,
        },
        {"US_SSN": 0, "CREDIT_CARD": 0, "EMAIL_ADDRESS": 0},
    ),
    "web": PolicyPreset(
        "For cleaned pages of the web: menus and notices that pages share stay where no passage "
        "can be cut, and addresses of companies are among what is found.",
        {
            "exact_share": 0.001,
            "near_share": 0.03,
            "duplicate_share": 0.03,
            "passage_share": 0.15,
            "findings_per_million_words": 200,
            "markers_per_million_words": 5,
            "rejects_share": 0.01,
        },
        {"US_SSN": 0, "CREDIT_CARD": 0},
    ),
    "medical": PolicyPreset(
        'For clinical text, looked through with pii.recognizers = ["hipaa"]: forms repeat, so that '
        "passages may; a person, or a marker that says where one stood, may not.",
        {
            "passage_share": 0.30,
            "findings_per_million_words": 0,
            "markers_per_million_words": 0,
            "at_risk_per_million_words": 0,
            "rejects_share": 0,
        },
        {"US_SSN": 0, "PHONE_NUMBER": 0, "EMAIL_ADDRESS": 0},
    ),
    "code": PolicyPreset(
        "For source code: licence headers and generated parts repeat, addresses of authors are "
        "meant to be there in places, keys never are.",
        {
            "exact_share": 0.001,
            "near_share": 0.10,
            "duplicate_share": 0.10,
            "passage_share": 0.40,
            "findings_per_million_words": 500,
            "markers_per_million_words": 20,
            "extracted_per_million_words": 500,
            "at_risk_per_million_words": 20,
            "rejects_share": 0.01,
        },
    ),
    "chat": PolicyPreset(
        "For chats and instructions: short, with phrases that all share, and written by people "
        "about themselves.",
        {
            "near_share": 0.10,
            "duplicate_share": 0.10,
            "passage_share": 0.25,
            "findings_per_million_words": 20,
            "markers_per_million_words": 0,
            "at_risk_per_million_words": 0,
        },
        {"US_SSN": 0, "CREDIT_CARD": 0, "EMAIL_ADDRESS": 0, "PHONE_NUMBER": 5},
    ),
}
"""By the name that `unrote init --policy --preset` takes. Where to begin, and no more: measure a
corpus that is good, and set what it has."""


def settings_template(preset: str = "default") -> str:
    """unrote.toml: every section and setting, commented out but for what `preset` sets."""
    chosen = PRESETS[preset]
    head = "# Settings of unrote. What is commented out is the default.\n"
    about = f"# {chosen.about}\n" if chosen.about else ""
    return head + about + "".join(_section(Settings, "", chosen.given))


def policy_template(preset: str = "default") -> str:
    """policy.toml for a gate, with the limits of `preset`."""
    chosen = POLICIES[preset]
    plain = resources.files("unrote.pipelines").joinpath("templates/policy.toml").read_text("utf-8")
    head, *parts = plain.split("\n\n")
    if chosen.about:
        head += "\n#\n" + textwrap.fill(
            chosen.about, 98, initial_indent="# ", subsequent_indent="# "
        )
    limited = [_limited(part, chosen.limits) for part in parts]
    types = [
        f'[[rule]]\nmeasure = "findings_per_million_words"\ntype = "{type_}"\nlimit = {limit:g}\n'
        for type_, limit in chosen.types.items()
    ]
    return "\n\n".join([head, *limited]) + "".join(f"\n{rule}" for rule in types)


def _limited(part: str, limits: Mapping[str, float]) -> str:
    """A part of the template that may be a rule, with its limit among `limits`."""
    found = re.search(r'(?m)^\[\[rule\]\]\nmeasure = "(\w+)"', part)
    if not found or found[1] not in limits:
        return part
    return re.sub(r"(?m)^limit = .*$", f"limit = {limits[found[1]]:g}", part)


def _section(model: type[BaseModel], path: str, given: Mapping[str, Any]) -> list[str]:
    lines, nested = [], []
    for name, each in model.model_fields.items():
        kind, key = each.annotation, f"{path}.{name}" if path else name
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            nested.extend(_section(kind, key, given))
            continue
        text = textwrap.fill(
            each.description or "", 96, initial_indent="# ", subsequent_indent="# "
        )
        mark = "" if key in given else "# "
        lines.append(f"\n{text}\n{mark}{name} = {_toml(given.get(key, each.default))}\n")
    if not lines:
        return nested
    about = textwrap.fill(model.__doc__ or "", 98, initial_indent="# ", subsequent_indent="# ")
    return [f"\n\n{about}\n[{path}]\n", *lines, *nested]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
