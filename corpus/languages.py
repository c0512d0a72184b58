"""The language of each document, and the scripts of its letters.

Languages are those of py3langid (a multinomial model of byte n-grams, BSD-3-Clause), which reads
`CHUNKS` chunks of a text, evenly spread. It is walked here by a kernel, which gives the library's
answers; a test holds the two together. A document whose best language is less probable than
`LEAST`, and one without natural language, is in the language UNKNOWN: so are most short texts.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.kernel import kernel
from unrote.corpus.normalization import NFC, Normalization
from unrote.corpus.schema import LANGUAGES, SCRIPTS, TEXT, Tagged
from unrote.corpus.scripts import letters_by_script, script_codes
from unrote.corpus.stages import PlainStage
from unrote.corpus.text import arrow_buffers, strings_from

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

UNKNOWN = "unknown"

KNOWN_LANGUAGES = tuple(
    """
    ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext
    fa fi fo fr fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja
    jv ka kab kik kk km kn ko ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no
    nso oc om or pa pcm pl ps pt qu ro ru rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk
    tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue zh zu
    """.split()  # noqa: SIM905 - a table of them
)
"""The languages that can be told, by ISO 639."""

CHUNKS, CHUNK = 4, 256
"""Chunks of a text that decide its language, and the bytes of each."""

LEAST = 0.5
"""Probability of a language from which it is told."""

NO_LANGUAGE = "zxx"
"""What the model calls what is no natural language (ISO 639-2)."""


@dataclass(frozen=True)
class Model:
    """The model, as the kernel takes it.

    labels: its languages by class. alias: int64[c], the first class of the same language. moves:
    int32[r * 256], the next state by row and byte; rows: int32[s], the row of a state; features:
    int32[s], what is counted in it, -1: nothing. weights: float32[f, c]; prior: float32[c].
    """

    labels: tuple[str, ...]
    alias: Ints
    moves: NDArray[np.int32]
    rows: NDArray[np.int32]
    features: NDArray[np.int32]
    weights: Floats
    prior: Floats


_lock = threading.Lock()


def model() -> Model:
    """The model of py3langid, read once by a process."""
    with _lock:
        return _model()


@cache
def _model() -> Model:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - an extra

    own = LanguageIdentifier.from_model_file(MODEL_FILE)
    labels = tuple(own.nb_classes)
    return Model(
        labels,
        np.array([labels.index(label) for label in labels], dtype=np.int64),
        np.asarray(own.tk_nextmove).astype(np.int32),
        np.asarray(own.tk_row).astype(np.int32),
        np.asarray(own.tk_output, dtype=np.int32),
        np.asarray(own.nb_ptc).astype(np.float32),
        np.asarray(own.nb_pc).astype(np.float32),
    )


def languages_of(texts: pa.Array, normalization: Normalization = NFC) -> list[str]:
    """The language of each text (a string array), by ISO 639, or UNKNOWN."""
    data, offsets = samples(*arrow_buffers(texts))
    sampled = normalization.texts(strings_from(data, offsets))
    upper = pc.utf8_is_upper(sampled)
    if pc.any(upper).as_py():
        sampled = pc.if_else(upper, pc.utf8_lower(sampled), sampled)
    found, probability = most_probable(sampled, model())
    labels = model().labels
    return [
        labels[best] if sure >= LEAST and labels[best] != NO_LANGUAGE else UNKNOWN
        for best, sure in zip(found.tolist(), probability.tolist(), strict=True)
    ]


def most_probable(texts: pa.Array, model_: Model) -> tuple[Ints, NDArray[np.float64]]:
    """The most probable class of each text, and its probability: int64[n], float64[n]."""
    data, offsets = arrow_buffers(texts)
    return _classes(
        data, offsets, model_.moves, model_.rows, model_.features, model_.weights, model_.prior,
        model_.alias,
    )  # fmt: skip


@kernel
def _classes(  # noqa: C901 - counts, sums and probabilities of a text, one after another
    data: Bytes,
    offsets: Ints,
    moves: NDArray[np.int32],
    rows: NDArray[np.int32],
    features: NDArray[np.int32],
    weights: Floats,
    prior: Floats,
    alias: Ints,
) -> tuple[Ints, NDArray[np.float64]]:
    """The sums are of float64 in the order in which features are first seen."""
    texts, classes = offsets.size - 1, prior.size
    best, probability = np.zeros(texts, dtype=np.int64), np.zeros(texts)
    counts = np.zeros(weights.shape[0], dtype=np.int32)
    seen = np.empty(CHUNKS * (CHUNK + 2), dtype=np.int64)
    for text in range(texts):
        begin, end = offsets[text], offsets[text + 1]
        if end - begin > seen.size:
            seen = np.empty(end - begin, dtype=np.int64)
        state, size = np.int64(0), 0
        for at in range(begin, end):
            state = np.int64(moves[np.int64(rows[state]) * 256 + np.int64(data[at])])
            feature = np.int64(features[state])
            if feature >= 0:
                if counts[feature] == 0:
                    seen[size] = feature
                    size += 1
                counts[feature] += 1
        scores = np.zeros(classes)
        for i in range(size):
            weight = np.log1p(np.float64(counts[seen[i]]))
            counts[seen[i]] = 0
            for c in range(classes):
                scores[c] += weight * np.float64(weights[seen[i], c])
        if not size:
            continue  # no feature: no language is more probable than another
        for c in range(classes):
            scores[c] += np.float64(prior[c])
        scores = np.exp((scores - scores.max()) / np.sqrt(np.float64(end - begin)))
        for c in range(classes):
            if alias[c] != c:
                scores[alias[c]] += scores[c]
                scores[c] = 0.0
        best[text] = np.argmax(scores)
        probability[text] = scores[best[text]] / scores.sum()
    return best, probability


@kernel
def samples(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """Of each text its chunks, with a line break after each but the last; short texts as a whole.

    Chunks begin and end with whole code points. Returns data (uint8) and offsets (int64[n + 1]).
    """
    texts = offsets.size - 1
    ends = np.zeros(texts + 1, dtype=np.int64)
    size = np.int64(0)
    for text in range(texts):
        size += min(offsets[text + 1] - offsets[text], CHUNKS * (CHUNK + 4))
    out = np.empty(size, dtype=np.uint8)
    to = np.int64(0)
    for text in range(texts):
        begin, end = offsets[text], offsets[text + 1]
        whole = end - begin <= CHUNKS * CHUNK
        for chunk in range(1 if whole else CHUNKS):
            first = begin + (end - begin - CHUNK) * chunk // (CHUNKS - 1)
            last = min(first + CHUNK, end)
            if whole:
                first, last = begin, end
            while first < last and data[first] & 0xC0 == 0x80:
                first += 1
            while last < end and last > first and data[last] & 0xC0 == 0x80:
                last -= 1
            if chunk:
                out[to] = 0x0A
                to += 1
            out[to : to + last - first] = data[first:last]
            to += last - first
        ends[text + 1] = to
    return out[:to].copy(), ends


@dataclass(frozen=True)
class TellLanguages(PlainStage):
    """Texts to LANGUAGES and SCRIPTS."""

    normalization: Normalization = NFC

    version: ClassVar[int] = 1
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"text": TEXT}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        LANGUAGES.name: LANGUAGES.schema,
        SCRIPTS.name: SCRIPTS.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            letters = letters_by_script(*arrow_buffers(batch["text"]))
            told = languages_of(batch["text"], self.normalization)
            yield LANGUAGES.name, _rows(LANGUAGES.schema, batch["doc"], told, letters.sum(axis=1))
            yield SCRIPTS.name, _scripts(batch["doc"], letters)


def _scripts(docs: pa.Array, letters: Ints) -> pa.RecordBatch:
    """Rows of SCRIPTS. letters: of `letters_by_script`."""
    order = np.argsort(-letters, axis=1, kind="stable")
    counts = np.take_along_axis(letters, order, axis=1)
    row, number = np.nonzero(counts)
    codes = pa.array(script_codes()).take(pa.array(order[row, number]))
    return _rows(SCRIPTS.schema, docs.take(pa.array(row)), number, codes, counts[row, number])


def _rows(schema: pa.Schema, *columns: Any) -> pa.RecordBatch:
    arrays = [pa.array(one, kind) for one, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
