"""Personal data and secrets in text: found, typed, and replaced by surrogates.

>>> import unrote
>>> unrote.scan(["Her SSN is 536-90-4399."]).to_pylist()  # doctest: +SKIP
[{'doc': 0, 'start': 11, 'end': 22, 'type': 'US_SSN', 'score': 0.85, ...}]
>>> unrote.scrub(["Her SSN is 536-90-4399."], key=key).texts  # doctest: +SKIP
['Her SSN is 927-11-8973.']
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from unrote.pii.config import Action, Config, actions_for, default_config

if TYPE_CHECKING:
    import pyarrow as pa

    from unrote.corpus.texts import Texts
    from unrote.pii.keys import Key
    from unrote.pii.scrubbing import ScrubbedTexts

__all__ = ["Config", "scan", "scrub"]


def scan(texts: "Texts", config: Config | None = None) -> "pa.Table":
    """Find personal data, secrets and traces of earlier de-identification in `texts`.

    texts: strings, or Arrow strings.
    config: what is looked for, and from which score on; None: what the commands look for.

    Returns a table of schema `unrote.pii.scanner.FINDINGS`, a row for each finding, by `doc` and
    `start`. Findings of different recognisers may overlap. Its columns:

    doc: index of the text, int64.
    start, end: offsets in code points, int64: `texts[doc][start:end]` is the value.
    type: an entity of Presidio ("EMAIL_ADDRESS"), "SECRET", or a marker's type ("DEID_MARKER").
    score: how sure the recogniser is, float64 in [0, 1].
    origin: the recogniser, or where a marker probably comes from.
    stands_for: the type that a marker stands for; "" where that is unknown, and for all others.

    Raises DetectionFailed where a recogniser could not finish a text: a table without that text's
    rows would say that there is nothing in it (`unrote.pii.scanner.Scanner.table` lists such
    texts). Raises ConfigError where the extra `pii` or a model of `config` is not installed.
    Raises TypeError for texts that are not strings.

    Each call opens the detectors, which takes a second or two; for many calls keep a
    `unrote.pii.scanner.Scanner`.

    >>> texts = ["Her SSN is 536-90-4399."]
    >>> for row in unrote.scan(texts).to_pylist():  # doctest: +SKIP
    ...     print(texts[row["doc"]][row["start"] : row["end"]], row["type"], row["score"])
    536-90-4399 US_SSN 0.85
    """
    from unrote.corpus.texts import text_list  # noqa: PLC0415 (loads Arrow)

    listed = text_list(texts)
    from unrote.pii.findings import DetectionFailed  # noqa: PLC0415
    from unrote.pii.scanner_cache import open_scanner  # noqa: PLC0415

    table, failures = open_scanner(config or default_config()).table(listed)
    if failures:
        first = failures[0]
        raise DetectionFailed(
            f"Text {first.doc}: {first.origin} {first.reason} ({len(failures)} such texts). Leave "
            "it out, raise the limit in Config, or call Scanner.table, which lists them."
        )
    return table


def scrub(
    texts: "Texts",
    *,
    key: "Key | str | bytes | None" = None,
    config: Config | None = None,
    actions: "Mapping[str, Action] | None" = None,
    ids: Sequence[str] | None = None,
) -> "ScrubbedTexts":
    """Replace personal data, secrets and traces of earlier de-identification in `texts`.

    texts: strings, or Arrow strings.
    key: the secret that surrogates are drawn with, 32 characters or more. The same key gives the
    same surrogates in every call, and scrubbing scrubbed texts with it changes nothing. None: a
    random key of this call alone.
    config: what is looked for, as for `unrote.scan`.
    actions: what is done, by type: "keep", "remove", "mask", "placeholder", "hash", "surrogate" or
    "reject-document"; "*" is for the types not named. None: what the commands do.
    ids: a name for each text, which decides how far its dates are shifted. None: its index.

    Returns a `ScrubbedTexts` of three fields:

    texts: a list as long as the input; None for a text that is not to be released.
    findings: a table of schema `unrote.corpus.schema.FINDINGS`: as that of `unrote.scan`, without
    overlaps, with the action taken and keyed fingerprints of the value and of its surrogate.
    rejected: the index of each text that is None -> the reason: a recogniser could not finish it,
    or it has a finding whose action is "reject-document".

    Raises ConfigError for a key that is too short, and where the extra `pii` or a model of `config`
    is not installed. Raises ValueError for an action that does not exist, or where `ids` has
    another length than `texts`. Raises TypeError for texts that are not strings.

    >>> scrubbed = unrote.scrub(["Her SSN is 536-90-4399."], key=key)  # doctest: +SKIP
    >>> scrubbed.texts, scrubbed.findings["action"].to_pylist()  # doctest: +SKIP
    (['Her SSN is 927-11-8973.'], ['surrogate'])
    """
    from unrote.corpus.texts import text_list  # noqa: PLC0415 (loads Arrow)

    listed = text_list(texts)
    if ids is not None and len(ids) != len(listed):
        raise ValueError(f"{len(ids)} ids for {len(listed)} texts: give one for each.")
    from unrote.pii.keys import Key, fresh_key  # noqa: PLC0415
    from unrote.pii.scrubbing import scrub_texts  # noqa: PLC0415

    secret = fresh_key() if key is None else key if isinstance(key, Key) else Key.of(key)
    config = config or default_config()
    names = [str(index) for index in range(len(listed))] if ids is None else ids
    acted = actions_for(config.recognizers, actions, config.ner)
    return scrub_texts(listed, names, config, acted, secret)
