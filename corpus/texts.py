"""Texts as a caller gives them: checked once, for every function that takes a list of texts."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import pyarrow as pa

Texts: TypeAlias = "Iterable[str] | pa.Array | pa.ChunkedArray"
"""Strings, or Arrow strings."""


def text_array(texts: Texts) -> Any:
    """`texts` as one Arrow array of (large) strings; an array, or a single chunk, is not copied.

    Raises TypeError for a single string or bytes (whose letters would be taken for texts), and
    where something that is no string is among the texts: null, None, bytes, a number.
    """
    refuse_single(texts)
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return _one_array(_of_strings(texts))
    listed = texts if isinstance(texts, list) else list(texts)
    try:
        array = pa.array(listed)  # guesses the type, so that bytes are seen
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        text_list(listed)  # says which one is no string
        raise
    if not len(array):
        return pa.array([], pa.string())
    if array.null_count or not _is_string(array.type):
        text_list(listed)
    return _one_array(array)


def text_list(texts: Texts) -> list[str]:
    """The same as a list. Raises TypeError as `text_array` does."""
    refuse_single(texts)
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        listed: list[str] = _of_strings(texts).to_pylist()
        return listed
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(
                f"Text {index} is {_kind(text)}, and every text must be a str. Decode bytes, and "
                "leave out what is missing."
            )
    return listed


def refuse_single(texts: object) -> None:
    """Raise TypeError for one text where a list of texts is meant."""
    if isinstance(texts, str | bytes | bytearray):
        raise TypeError(
            f"Give a list of texts, not one {type(texts).__name__}, whose letters would be "
            "taken for texts. Put it in a list: [text]."
        )


def _of_strings(texts: Any) -> Any:
    if not _is_string(texts.type):
        raise TypeError(f"An Arrow array of strings is wanted, not of {texts.type}. Cast it first.")
    if texts.null_count:
        raise TypeError(
            f"{texts.null_count} of {len(texts)} texts are null, and every text must be a string. "
            "Drop them, or fill them: texts.fill_null('')."
        )
    return texts


def _one_array(texts: Any) -> Any:
    if isinstance(texts, pa.ChunkedArray):
        whole = texts if texts.num_chunks == 1 else texts.cast(pa.large_string()).combine_chunks()
        return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return texts


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
