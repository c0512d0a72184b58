"""Writes what is documented from the code: docs/configuration.md and examples/unrote.toml.

python docs/generate.py (or `make docs`); tests/test_docs.py fails where they are out of step.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from unrote.pipelines.config import Settings
from unrote.pipelines.template import settings_template

ROOT = Path(__file__).resolve().parents[1]

HEAD = """\
# Configuration

<!-- Written by docs/generate.py from pipelines/config.py. Edit those. -->

Every setting has a default, and a run needs no file. `unrote init` writes a commented `unrote.toml`
with all of them ([like this](../examples/unrote.toml)); `unrote clean … -c unrote.toml` reads it,
and `--set` changes one setting of it:

```
unrote clean corpus/ -o out -c unrote.toml --set dedup.near.threshold=0.7 --set engine.workers=4
```

A value after `--set` is TOML; what does not parse as TOML is taken as a string. Unknown settings
and values out of range are errors, found before anything is read: all of them at once, with the
nearest known name. Settings in `[engine]` decide how fast a run is and how much memory it takes,
never what it answers: a run that was stopped may be continued with others.
"""

BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def configuration() -> str:
    """docs/configuration.md, as text."""
    return HEAD + "".join(_section(Settings, ""))


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    rows, nested = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            nested.append((kind, f"{path}.{name}" if path else name))
        else:
            cells = (f"`{name}`", f"`{_toml(field.default)}`", _allowed(field), field.description)
            rows.append("| " + " | ".join(cell or "" for cell in cells) + " |\n")
    if rows:
        yield f"\n## `[{path}]`\n\n{model.__doc__}\n\n| setting | default | allowed | meaning |\n"
        yield "|---|---|---|---|\n"
        yield from rows
    for kind, below in nested:
        yield from _section(kind, below)


def _allowed(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    limits = [
        f"{sign} {getattr(rule, key):g}"
        for rule in field.metadata
        for key, sign in BOUNDS.items()
        if getattr(rule, key, None) is not None
    ]
    return ", ".join(limits)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


FILES = {"docs/configuration.md": configuration, "examples/unrote.toml": settings_template}

if __name__ == "__main__":
    for name, text in FILES.items():
        (ROOT / name).write_text(text(), encoding="utf-8")
