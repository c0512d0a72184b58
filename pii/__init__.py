"""Personal data and secrets in text: where they are, of what type, and what stands for them.

>>> import unrote
>>> unrote.scan(["Mail jane.roe@unrote.org, please."]).to_pylist()  # doctest: +SKIP
[{'doc': 0, 'start': 5, 'end': 24, 'type': 'EMAIL_ADDRESS', 'score': 1.0, ...}]
>>> unrote.scrub(["Mail jane.roe@unrote.org, please."], key=key).texts  # doctest: +SKIP
['Mail kcxl.iqv@gqdkbc.org, please.']
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
    """The findings in `texts` as a table: doc (index), start, end (code points), type, score,
    origin (the recogniser's name, or where a marker probably comes from), stands_for (what a
    marker stands for), by document and place. Findings may overlap.

    Opens the detectors, which takes a second or two; keep a `pii.scanner.Scanner` for many calls.
    Raises DetectionFailed for the first text that a recogniser could not finish: a table without
    that text's rows would say that there is nothing in it. (`Scanner.table` lists such texts.)
    Raises TypeError for texts that are no strings.
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

    key: the secret that surrogates are made with (32 characters or more): the same key gives the
    same surrogates in every call; None: one of this call's own. config, actions: what is looked for
    and what is done, by type; as the commands do it where nothing is said. ids: names of the
    documents, by which dates are shifted; their indices where there are none.

    Returns the texts, the findings, and why a text is None: a recogniser could not finish it, or it
    has a finding whose action is reject-document. Raises TypeError for texts that are no strings,
    ConfigError for a key that is too short.
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
    return scrub_texts(listed, names, config, actions_for(config.recognizers, actions), secret)
