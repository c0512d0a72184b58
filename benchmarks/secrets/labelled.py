"""The labelled set: secrets in the places where they are lost, and what looks like them.

Made from templates by a seed, so that no secret's form lies in the repository. «…» in a template
says which part is the secret; without, all of it.
"""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.secrets.lookalikes import LOOKALIKES, filler, lines
from benchmarks.secrets.providers import (
    PASSWORDS,
    PASSWORDS_IN_URLS,
    PRIVATE_KEYS,
    PROVIDERS,
    is_held_out,
)
from unrote.pii.secret_templates import expanded


class Sample(NamedTuple):
    """A text; start and end of the secret in it (-1: there is none)."""

    group: str
    kind: str
    held_out: bool
    text: str
    start: int = -1
    end: int = -1


NAMED = (
    "{name}={secret}\n",
    "export {name}='{secret}'\n",
    '{{"{name}": "{secret}", "n": 1}}\n',
    "{name}: {secret}\n",
    '  {name}: "{secret}"  # since May\n',
    '{name} = "{secret}"\n',
    "config['{name}'] = '{secret}'\n",
    "{name} := `{secret}`\n",
    "- `{name}`: `{secret}`\n",
    "ENV {name} {secret}\n",
    "set {name}={secret}\r\n",
    '"{{\\"{name}\\": \\"{secret}\\"}}"\n',
)
"""Where a variable's name stands beside the secret."""

ALONE = (
    "2026-03-01T10:00:00Z INFO sent request with {secret} to upstream\n",
    "curl -H 'X-Auth: {secret}' https://api.unrote.org/v1/items\n",
    "https://api.unrote.org/v1?key={secret}&page=2\n",
    'client = Client("{secret}")\n',
    "login with `{secret}` and go on\n",
    "| {secret} | read, write |\n",
    "<value>{secret}</value>\n",
    "my key is {secret}, please help\n",
    "log: first line\\n{secret}\\nlast line\n",
)
"""Where nothing but its form says what it is."""


def labelled(seed: int = 1, each: int = 24) -> Iterator[Sample]:
    """`each` samples of every provider and kind, and about as many of what looks like them."""
    random_ = random.Random(seed)
    for provider in PROVIDERS:
        places = NAMED + ALONE if provider.anywhere else NAMED
        for index in range(each):
            value, start, end = _marked(expanded(_pick(provider.templates, index), random_))
            if provider.names:
                place = places[index % len(places)]
                before, after = place.replace("{{", "{").replace("}}", "}").split("{secret}")
                name = random_.choice(provider.names)
                text = before.replace("{name}", name) + value + after
                start, end = (n + len(text) - len(value) - len(after) for n in (start, end))
            else:
                text = value + "\n"
            held = is_held_out(provider.name)
            yield _among_lines(random_, Sample(provider.name, "provider", held, text, start, end))
    kinds = (("private key", PRIVATE_KEYS), ("URL", PASSWORDS_IN_URLS), ("assignment", PASSWORDS))
    for kind, templates in kinds:
        for template in templates * max(1, each * 4 // len(templates)):
            text, start, end = _marked(expanded(template, random_))
            yield _among_lines(random_, Sample(kind, kind, False, text, start, end))
    for group, templates in LOOKALIKES.items():
        for template in templates * max(1, each // 2):
            yield _among_lines(
                random_, Sample(group, "look-alike", False, expanded(template, random_))
            )
    for _ in range(each * 2):
        yield Sample("base64", "look-alike", False, lines(random_))


def _pick(templates: tuple[str, ...], index: int) -> str:
    return templates[index % len(templates)]


def _marked(text: str) -> tuple[str, int, int]:
    """The text without its marks, and what stood between them."""
    match = re.search("«(.*)»", text, re.DOTALL)
    if match is None:
        return text, 0, len(text)
    plain = text[: match.start()] + match[1] + text[match.end() :]
    return plain, match.start(), match.start() + len(match[1])


def _among_lines(random_: random.Random, sample: Sample) -> Sample:
    before = "".join(filler(random_) + "\n" for _ in range(random_.randint(0, 3)))
    after = "".join(filler(random_) + "\n" for _ in range(random_.randint(0, 3)))
    moved = sample._replace(text=before + sample.text + after)
    if sample.start < 0:
        return moved
    return moved._replace(start=sample.start + len(before), end=sample.end + len(before))
