"""Whether two runs are the same: what decides a result, as a digest, and in what they differ."""

from collections.abc import Mapping
from typing import Any

import orjson
import xxhash

from unrote.corpus.shard import Corpus
from unrote.corpus.version import VERSION
from unrote.pipelines.commits import FORMAT
from unrote.pipelines.config import Settings


def run_fingerprint(job: str, settings: Settings, corpus: Corpus, key: str, index: str = "") -> str:
    """A digest of the input, the key and all settings that decide the result (not how fast it
    comes, nor where the key lies), and of the index's head that it looks at.
    """
    tree = [FORMAT, VERSION, job, _deciding(settings), corpus.to_json(), key]
    return _digest([*tree, index] if index else tree)


def input_digest(corpus: Corpus) -> str:
    """A digest of the input as it was pinned."""
    return _digest(corpus.to_json())


def difference(
    then: Mapping[str, Any], job: str, settings: Settings, corpus: Corpus, key: str
) -> str:
    """In parentheses, in what a run differs from the one of a manifest or state file."""
    found: list[str] = []
    if then.get("job") != job:
        found.append(f"it is a {then.get('job')}")
    if then.get("unrote") != VERSION:
        found.append(f"of unrote {then.get('unrote')}")
    if then.get("input_digest", _digest(then.get("input"))) != input_digest(corpus):
        found.append(f"the input is not the same{_changed(then, corpus)}")
    if then.get("key", "") != key:
        found.append("it was made with another key, or with none")
    old, new = _flat(then.get("settings", {})), _flat(_deciding(settings))
    found.extend(f"{k} was {old.get(k)!r} and is {new[k]!r}" for k in new if old.get(k) != new[k])
    return f" ({'; '.join(found)})" if found else ""


NAMED = 10_000
"""Shards of an input up to which a run's state has their checksums, to name what changed."""


def checksums(corpus: Corpus) -> dict[str, str]:
    """Of each shard by its name; {} where they are too many."""
    if len(corpus.shards) > NAMED:
        return {}
    return {shard.name: shard.checksum for shard in corpus.shards}


def _changed(then: Mapping[str, Any], corpus: Corpus) -> str:
    """The first shards that are not what they were, as far as it is known."""
    shards = then.get("input", {}).get("shards", ())
    old = then.get("checksums") or {one["name"]: one["checksum"] for one in shards}
    new = checksums(corpus)
    if not (old and new):
        return ""
    said = [f"{name} is missing" for name in sorted(old.keys() - new.keys())]
    said += [f"{name} is new" for name in sorted(new.keys() - old.keys())]
    both = sorted(old.keys() & new.keys())
    said += [f"{name} was changed" for name in both if old[name] != new[name]]
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    return f": {', '.join(said[:3])}{more}" if said else ""


def _deciding(settings: Settings) -> dict[str, Any]:
    """The settings that decide the result."""
    undecided: Any = {
        "engine": True,
        "pii": {"key_file"},
        "output": {"lock", "lock_timeout"},
        "storage": True,
        "lineage": True,
    }
    return settings.model_dump(exclude=undecided)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings as dotted keys and values."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _digest(tree: object) -> str:
    return str(xxhash.xxh3_128_hexdigest(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)))
