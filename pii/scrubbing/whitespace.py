"""White space around what is removed: no double blank, empty line or empty bracket is left.

Quotes and tabs stay: an empty string of JSON and an empty column are what is left of a value.
"""

from collections.abc import Sequence

from unrote.pii.scrubbing.edits import Edit

_CLOSING = frozenset(".,;:!?)]}»”’%")
_OPENING = frozenset("([{«“‘")
_PAIRS = frozenset({"()", "[]", "{}", "<>", "“”", "‘’", "«»"})


def repair_white_space(text: str, edits: Sequence[Edit]) -> list[Edit]:
    """The edits, in order and disjoint; removals are widened by the white space that they would
    leave over. Removals with only blanks between them are one.
    """
    out: list[Edit] = []
    for edit in edits:
        if (
            out
            and not edit.text
            and not out[-1].text
            and not text[out[-1].end : edit.start].strip(" ")
        ):
            out[-1] = Edit(out[-1].start, edit.end, "")
        else:
            out.append(edit)
    repaired: list[Edit] = []
    for index, edit in enumerate(out):
        low = repaired[-1].end if repaired else 0
        high = out[index + 1].start if index + 1 < len(out) else len(text)
        repaired.append(edit if edit.text else _repaired(text, edit, low, high))
    return repaired


def _repaired(text: str, edit: Edit, low: int, high: int) -> Edit:
    """A removal, widened within low:high so that no white space is left over.

    One of two blanks goes, and the blank before a closing or after an opening character; so do
    brackets, quotes and a line that would be empty.
    """
    start, end = edit.start, edit.end
    while low < start and end < high and text[start - 1] + text[end] in _PAIRS:
        start, end = start - 1, end + 1
    left = _blanks_before(text, start, low)
    right = _blanks_after(text, end, high)
    at_line_start = left == 0 or text[left - 1] == "\n"
    at_line_end = right == len(text) or text[right] == "\n"
    if at_line_start and at_line_end:
        return _without_line(text, left, right, low, high)
    if at_line_end:
        start, end = left, right
    elif at_line_start:
        end = right
    elif (right < high and text[right] in _CLOSING) or (left > low and text[left - 1] in _OPENING):
        start, end = left, right
    elif left < start:
        end = right
    return Edit(start, end, "")


def _without_line(text: str, left: int, right: int, low: int, high: int) -> Edit:
    """Remove a line that would be empty, with one of its breaks; of two empty
    lines around it one.
    """
    if right < high and text[right] == "\n":
        right += 1
        if (left < 2 or text[left - 2 : left] == "\n\n") and right < high and text[right] == "\n":
            right += 1
    elif left > low and text[left - 1] == "\n":
        left -= 1
    return Edit(left, right, "")


def _blanks_before(text: str, at: int, low: int) -> int:
    while at > low and text[at - 1] == " ":
        at -= 1
    return at


def _blanks_after(text: str, at: int, high: int) -> int:
    while at < high and text[at] == " ":
        at += 1
    return at
