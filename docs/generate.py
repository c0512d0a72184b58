"""Writes what is documented from the code: settings, the example, the API.

python docs/generate.py (or `make docs`); tests/test_docs.py fails where they are out of step.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import unrote
from unrote.pii.scrubbing import ScrubbedTexts
from unrote.pipelines.config import Settings
from unrote.pipelines.finished import FinishedRun
from unrote.pipelines.report.verdicts import GateResult
from unrote.pipelines.status import RunStatus
from unrote.pipelines.template import settings_template
from unrote.pipelines.verify import Recall, Remaining, Verdict

ROOT = Path(__file__).resolve().parents[1]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""Of JSON schema, as pydantic writes it."""

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


API_HEAD = """\
# From Python

<!-- Written by docs/generate.py from the docstrings of what `unrote.__all__` lists. Edit those. -->

What `import unrote` offers; the names are loaded when they are first used. What is not on this page
may change in any version ([what 0.x promises](../README.md#what-0x-promises)).

In the signatures `Texts` is an iterable of strings, or an Arrow array of strings; a single string,
and bytes or None among the texts, are a TypeError. `Path` is a `str` or `os.PathLike`; `Options`:
`unrote.pipelines.config.Settings`, or a mapping of dotted names to values such as
`{"dedup.near.threshold": 0.7}` ([all settings](configuration.md)).
`unrote.__version__` is the version.
"""

API_ERRORS = """
## Errors

| error | is a | exit status of a command | meaning |
|---|---|---|---|
"""

ON_TEXTS = (
    "signatures", "to_datasketch", "from_datasketch", "near_duplicates", "duplicate_spans", "scan",
    "scrub", "score",
)  # fmt: skip
ON_CORPORA = ("clean", "gate", "verify", "open_run")
RETURNED = (FinishedRun, ScrubbedTexts, Verdict, Recall, Remaining)
WIDTH = 88


def api() -> str:
    """docs/api.md, as text."""
    exported = {name: getattr(unrote, name) for name in unrote.__all__}
    errors = [value for value in exported.values() if isinstance(value, type)]
    return "".join(
        (
            API_HEAD,
            "\n## On texts in memory\n",
            *(_function(exported[name]) for name in ON_TEXTS),
            "\n## On a corpus on disk\n",
            *(_function(exported[name]) for name in ON_CORPORA),
            "\n## What comes back\n",
            *(_class(made) for made in RETURNED),
            API_ERRORS,
            *(_error(made) for made in errors),
        )
    )


def _function(function: Callable[..., Any]) -> str:
    name, text = function.__name__, _prose(_docstring(function))
    return f"\n### `{name}`\n\n```python\n{_signature(function)}\n```\n\n{text}\n"


def _class(made: type) -> str:
    """A class with its public methods and properties."""
    members = {
        name: getattr(member, "fget", None) or getattr(member, "func", member)
        for name, member in vars(made).items()
        if not name.startswith("_") and (callable(member) or hasattr(member, "__get__"))
    }
    rows = "".join(
        f"| `{_called(name, member)}` | {_one_line(_docstring(member))} |\n"
        for name, member in members.items()
    )
    table = f"\n| | |\n|---|---|\n{rows}" if rows else ""
    return f"\n### `{made.__name__}`\n\n{_prose(_docstring(made))}\n{table}"


def _called(name: str, member: Any) -> str:
    parameters = list(inspect.signature(member).parameters)[1:]
    return f"{name}({', '.join(parameters)})" if parameters else name


def _error(made: type) -> str:
    status = getattr(made, "exit_status", "")
    base = made.__bases__[0].__name__
    return f"| `{made.__name__}` | `{base}` | {status} | {_one_line(_docstring(made))} |\n"


def _docstring(documented: Any) -> str:
    text = inspect.getdoc(documented)
    if not text:
        raise ValueError(f"{documented.__qualname__} has no docstring")
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """A docstring as Markdown: a line that begins with "name:" begins an item of a list, and one
    that begins with what is returned or raised a paragraph. A paragraph of `>>>` is an example.
    """
    text = text.replace("  # doctest: +SKIP", "")
    text = re.sub(r"(?m)^>>> (?:.+\n?)+", lambda block: f"```pycon\n{block[0].strip()}\n```", text)
    items = re.sub(r"(?m)^(?=[a-z_]+(?:, [a-z_]+)*: )", "- ", text)
    return re.sub(r"(?<!\n)\n(?=(?:Raises|Returns) )", "\n\n", items)


def _signature(function: Callable[..., Any]) -> str:
    """The signature with the types by the names that they have in the source."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    plain = [_parameter(one) for one in inspect.signature(function).parameters.values()]
    spelled = {
        one.arg: _type(one.annotation)
        for one in (*definition.args.args, *definition.args.kwonlyargs)
    }
    parts = []
    for name, default, keyword in plain:
        if keyword and "*" not in parts:
            parts.append("*")
        parts.append(f"{name}: {spelled[name]}{default}")
    end = f") -> {_type(definition.returns)}"
    line = f"unrote.{function.__name__}({', '.join(parts)}{end}"
    if len(line) <= WIDTH:
        return line
    return f"unrote.{function.__name__}(\n" + "".join(f"    {p},\n" for p in parts) + end


def _parameter(one: inspect.Parameter) -> tuple[str, str, bool]:
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return one.name, default, one.kind is one.KEYWORD_ONLY


def _type(written: ast.expr | None) -> str:
    """A type as it is written, without the quotes that put off its import."""
    if written is None:
        return "None"
    if isinstance(written, ast.Constant) and isinstance(written.value, str):
        return written.value
    return ast.unparse(written)


def gate_schema() -> str:
    """The JSON schema of `unrote gate --format json`."""
    return _schema(GateResult)


def status_schema() -> str:
    """The JSON schema of `unrote status --json`."""
    return _schema(RunStatus)


def _schema(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(mode="serialization")
    return json.dumps({"$schema": DIALECT} | schema, indent=2) + "\n"


FILES = {
    "docs/api.md": api,
    "docs/configuration.md": configuration,
    "docs/schemas/gate.json": gate_schema,
    "docs/schemas/status.json": status_schema,
    "examples/unrote.toml": settings_template,
}

if __name__ == "__main__":
    for name, text in FILES.items():
        (ROOT / name).write_text(text(), encoding="utf-8")
