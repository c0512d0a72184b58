"""Files that say what a gate's rules are not to count: a baseline of what was there, and waivers.

Both name things by keyed fingerprints, so that a file in a repository tells nobody a value:
findings by the column `fingerprint` of their table, all else as `pipelines.accepting` makes them.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unrote.corpus.errors import ConfigError, InputError
from unrote.corpus.version import VERSION
from unrote.pipelines.config import describe, read_toml
from unrote.pipelines.storage import write_atomically


class Waiver(BaseModel):
    """Why some things are not counted, who answers for that, and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprints: list[str] = Field(
        min_length=1, description="Of what is waived, as a verdict names them."
    )
    reason: str = Field(min_length=1, description="Why it may stay.")
    owner: str = Field(min_length=1, description="Who answers for it.")
    expires: date = Field(description="The last day (UTC) on which it holds: 2027-03-31.")

    @field_validator("fingerprints")
    @classmethod
    def _are_fingerprints(cls, values: list[str]) -> list[str]:
        for value in values:
            if not re.fullmatch("[0-9a-f]{32}", value):
                raise ValueError(f"{value!r} is no fingerprint; they are 32 hexadecimal digits")
        return values


class Waivers(BaseModel):
    """The waivers of a gate: tables [[waiver]] of a TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    waiver: list[Waiver] = Field(default=[], description="All waivers.")


class Baseline(BaseModel):
    """What a corpus had when it was accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    unrote: str = VERSION
    written: str = Field(description="The day, UTC.")
    key: str = Field(description="Fingerprint of the key that all others were made with.")
    numbers: Mapping[str, float] = Field(
        description="Measures that are no counts of things, as they were: by rule and source."
    )
    items: Mapping[str, Mapping[str, int]] = Field(
        description="How often each thing was there: by table, then by fingerprint."
    )


def today() -> date:
    """The day, UTC: what waivers expire by."""
    return datetime.now(UTC).date()


def load_waivers(path: str | os.PathLike[str]) -> Waivers:
    """The waivers in a TOML file. Raises ConfigError, which names all that is wrong."""
    try:
        waivers = Waivers.model_validate(read_toml(path))
    except ValidationError as error:
        raise ConfigError(*describe(error, Waivers, f"{path}: ")) from None
    if not waivers.waiver:
        raise ConfigError(
            f'{path} has no waiver. Add at least one: [[waiver]] fingerprints = ["…"] '
            'reason = "…" owner = "…" expires = 2027-03-31.'
        )
    return waivers


def load_baseline(path: str | os.PathLike[str], key: str) -> Baseline:
    """The baseline in a file that `write_baseline` wrote. key: fingerprint of the key in use.

    Raises InputError where it is none, ConfigError where it was made with another key.
    """
    try:
        baseline = Baseline.model_validate(orjson.loads(Path(path).read_bytes()))
    except OSError as error:
        raise InputError(
            f"cannot read the baseline {path}: {error.strerror}. Write one with --write-baseline."
        ) from None
    except (orjson.JSONDecodeError, ValidationError) as error:
        what = str(error).splitlines()[0]
        raise InputError(
            f"{path} is no baseline of this version: {what}. Write one with --write-baseline."
        ) from None
    if baseline.key != key:
        raise ConfigError(
            f"the baseline {path} was made with the key {baseline.key}, and this one is {key}: no "
            "fingerprint would match. Use that key, or write a baseline anew."
        )
    return baseline


def write_baseline(path: str | os.PathLike[str], baseline: Baseline) -> None:
    """Write a baseline: JSON, sorted, a fingerprint a line, so that a diff of it can be read.

    Raises StorageError where the file cannot be written.
    """
    content = orjson.dumps(baseline.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    write_atomically(Path(path), content + b"\n")
