"""The values that paths lead to in Arrow batches: found, joined to a text, written back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unrote.corpus.paths import EACH, SEPARATOR, FieldPath, Selection, Step


def type_at(schema: pa.Schema, path: FieldPath) -> pa.DataType | None:
    """The type of what a path leads to; None where it leads nowhere."""
    kind: pa.DataType = pa.struct(list(schema))
    for step in path.steps:
        if step is EACH:
            if not _is_list(kind):
                return None
            kind = kind.value_type
        else:
            if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
                return None
            kind = kind.field(kind.get_field_index(step)).type
    return kind


def text_paths(schema: pa.Schema, is_text: Callable[[pa.DataType], bool]) -> list[str]:
    """The paths of all that `is_text` says of; what is neither struct nor list is named whole."""
    return [path for field in schema for path in _paths_in(field.type, (field.name,), is_text)]


def _paths_in(
    kind: pa.DataType, steps: tuple[Step, ...], is_text: Callable[[pa.DataType], bool]
) -> list[str]:
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return [path for f in fields for path in _paths_in(f.type, (*steps, f.name), is_text)]
    if _is_list(kind):
        return _paths_in(kind.value_type, (*steps, EACH), is_text)
    return [str(FieldPath(steps))] if is_text(kind) or pa.types.is_nested(kind) else []


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


@dataclass(frozen=True)
class Values:
    """The strings that a selection has in the rows of a batch, without nulls: by row and, within
    it, in the order of the selection. Value i is texts[i], of row rows[i] (int64); it is the
    indices[i]-th (int64), nulls counted, that path paths[i] (int64) leads to in the batch.
    """

    texts: pa.LargeStringArray
    rows: np.ndarray
    paths: np.ndarray
    indices: np.ndarray

    def joined(self, count: int) -> pa.LargeStringArray:
        """The texts that they make in `count` rows; null where a row has none."""
        sizes = np.bincount(self.rows, minlength=count)
        offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))), pa.int64())
        lists = pa.LargeListArray.from_arrays(offsets, self.texts)
        texts = pc.binary_join(lists, pa.scalar(SEPARATOR, pa.large_string()))
        return pc.if_else(pa.array(sizes > 0), texts, pa.scalar(None, pa.large_string()))

    def separated(self, count: int) -> np.ndarray:
        """Which of `count` rows have a value with the separator in it (bool)."""
        found = np.zeros(count, dtype=np.bool_)
        found[self.rows[pc.match_substring(self.texts, SEPARATOR).to_numpy(False)]] = True
        return found


def find_values(batch: pa.RecordBatch, selected: Selection) -> Values:
    """What `selected` leads to. A path whose first field the batch does not have leads nowhere."""
    texts, rows, paths, indices = [], [], [], []
    for number, leading in enumerate(selected.paths):
        column = batch.schema.get_field_index(leading.top)
        if column < 0:
            continue
        own, at = _followed(batch.column(column), leading.steps[1:])
        there = own.is_valid().to_numpy(zero_copy_only=False)
        texts.append(own.drop_null())
        rows.append(at[there])
        paths.append(np.full(int(there.sum()), number))
        indices.append(np.flatnonzero(there))
    nothing = pa.array([], pa.large_string())
    row, path, index = (
        np.concatenate([np.empty(0, np.int64), *one]).astype(np.int64)
        for one in (rows, paths, indices)
    )
    order = np.lexsort((index, path, row))
    every = pa.concat_arrays([nothing, *texts]).take(pa.array(order))
    return Values(every, row[order], path[order], index[order])


def _followed(array: pa.Array, steps: Sequence[Step]) -> tuple[pa.LargeStringArray, np.ndarray]:
    """What `steps` lead to from each element, as strings, and the element that each is of."""
    rows = np.arange(len(array), dtype=np.int64)
    for step in steps:
        if step is EACH:
            rows = rows[pc.list_parent_indices(array).to_numpy()]
            array = pc.list_flatten(array)
        else:
            array = pc.struct_field(array, [array.type.get_field_index(step)])
    return array.cast(pa.large_string()), rows


def with_values(
    batch: pa.RecordBatch, selected: Selection, values: Values, new: Mapping[int, str]
) -> dict[int, pa.Array]:
    """The columns of `batch`, by number, with new texts: `new` has those of some rows.

    values: what `find_values` says. Raises ValueError where a text has not as many values, and
    pa.ArrowInvalid where a dictionary's index type cannot number all values of a column.
    """
    changes: dict[int, dict[int, str]] = {}
    for row, text in new.items():
        start, end = np.searchsorted(values.rows, [row, row + 1]).tolist()
        parts = text.split(SEPARATOR) if selected.is_several else [text]
        for at, value in zip(range(start, end), parts, strict=True):
            if values.texts[at].as_py() != value:
                changes.setdefault(int(values.paths[at]), {})[int(values.indices[at])] = value
    columns: dict[int, pa.Array] = {}
    for number, own in changes.items():
        path = selected.paths[number]
        column = batch.schema.get_field_index(path.top)
        before = columns.get(column, batch.column(column))
        columns[column] = _rebuilt(before, path.steps[1:], own)
    return columns


def _rebuilt(array: pa.Array, steps: Sequence[Step], new: Mapping[int, str]) -> pa.Array:
    """`array` with the elements that `steps` lead to replaced, which `new` has by number."""
    if not steps:
        return _with_strings(array, new)
    if steps[0] is EACH:
        inner = _rebuilt(pc.list_flatten(array), steps[1:], new)
        return _list_like(array, inner)
    number = array.type.get_field_index(steps[0])
    # `field` has what lies under a null struct; `struct_field`, which is numbered by, has nulls.
    children = [
        pc.struct_field(array, [i]) if i == number else array.field(i)
        for i in range(array.type.num_fields)
    ]
    children[number] = _rebuilt(children[number], steps[1:], new)
    fields = [array.type.field(i) for i in range(array.type.num_fields)]
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(children, fields=fields, mask=mask)


def _list_like(array: Any, inner: pa.Array) -> pa.Array:
    """A list array as `array`, of the flattened elements `inner`."""
    sizes = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    large = pa.types.is_large_list(array.type)
    build, width = (pa.LargeListArray, pa.int64()) if large else (pa.ListArray, pa.int32())
    mask = array.is_null() if array.null_count else None
    return build.from_arrays(pa.array(offsets, width), inner, type=array.type, mask=mask)


def _with_strings(texts: pa.Array, new: Mapping[int, str]) -> pa.Array:
    """`texts` with some elements replaced, which `new` has by number; of the same type.

    Raises pa.ArrowInvalid where a dictionary's index type cannot number all values.
    """
    places = sorted(new)
    plain = texts.cast(pa.large_string())
    # Take from the old texts with the new ones behind them.
    both = pa.concat_arrays([plain, pa.array([new[at] for at in places], pa.large_string())])
    order = np.arange(len(plain), dtype=np.int64)
    order[places] = len(plain) + np.arange(len(places))
    changed = both.take(pa.array(order))
    if pa.types.is_dictionary(texts.type):
        return changed.cast(texts.type.value_type).dictionary_encode().cast(texts.type)
    return changed.cast(texts.type)
