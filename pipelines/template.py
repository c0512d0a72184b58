"""Commented TOML files for a start: every setting at its default, with what it means."""

import textwrap
from importlib import resources
from typing import Any

from pydantic import BaseModel

from unrote.pipelines.config import Settings


def settings_template() -> str:
    """unrote.toml: every section and setting, commented out at its default."""
    head = "# Settings of unrote. What is commented out is the default.\n"
    return head + "".join(_section(Settings, ""))


def policy_template() -> str:
    """policy.toml for a gate."""
    return resources.files("unrote.pipelines").joinpath("templates/policy.toml").read_text("utf-8")


def _section(model: type[BaseModel], path: str) -> list[str]:
    lines, nested = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            nested.extend(_section(kind, f"{path}.{name}" if path else name))
            continue
        text = textwrap.fill(
            field.description or "", 96, initial_indent="# ", subsequent_indent="# "
        )
        lines.append(f"\n{text}\n# {name} = {_toml(field.default)}\n")
    if not lines:
        return nested
    about = textwrap.fill(model.__doc__ or "", 98, initial_indent="# ", subsequent_indent="# ")
    return [f"\n\n{about}\n[{path}]\n", *lines, *nested]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
