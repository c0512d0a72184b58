"""The words of street addresses (addresses.toml), for the recogniser and for surrogates."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def lists() -> dict[str, Any]:
    """The tables of addresses.toml."""
    text = files("unrote.pii").joinpath("addresses.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def kept_words() -> frozenset[str]:
    """Words of an address that say nothing of where it is, in lower case."""
    parts = lists()["parts"]
    words = {word for name in _KEPT_PARTS for one in parts[name] for word in one.split()}
    for table in ("number_name_type", "number_type_name", "type_name_number", "compound_number"):
        for name in ("types", "types_with_comma", "abbreviations", "endings"):
            words.update(lists()[table].get(name, ()))
    words |= _ALSO_KEPT
    return frozenset(word.strip(".'’/").lower() for word in words)


_ALSO_KEPT = {
    *("bis", "ter", "quater", "psc", "cmr", "apo", "fpo", "dpo", "usns", "uss", "uscgc", "usnv"),
    *("n", "no", "sur", "norte", "este"),
}
_KEPT_PARTS = ("particles", "units", "boxes", "directions", "states", "provinces", "territories")


@cache
def endings() -> tuple[str, ...]:
    """What the name of a street ends in that is one word with its type, the longest first."""
    found = (one.strip(".") for one in lists()["compound_number"]["endings"])
    return tuple(sorted(found, key=lambda one: (-len(one), one)))
