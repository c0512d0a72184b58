"""TOML files for a start: every setting with what it means, and what it is for a kind of corpus."""

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


def settings_template(preset: str = "default") -> str:
    """unrote.toml: every section and setting, commented out but for what `preset` sets."""
    chosen = PRESETS[preset]
    head = "# Settings of unrote. What is commented out is the default.\n"
    about = f"# {chosen.about}\n" if chosen.about else ""
    return head + about + "".join(_section(Settings, "", chosen.given))


def policy_template() -> str:
    """policy.toml for a gate."""
    return resources.files("unrote.pipelines").joinpath("templates/policy.toml").read_text("utf-8")


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
