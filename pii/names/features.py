"""What the tagger sees of a token: FEATURES indices into its table of weights.

Word, letters and shape of the token and of its neighbours, what the lexicon knows of them, where in
its region the token stands, and whether the document has the word in lower case elsewhere.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.kernel import inlined, kernel
from unrote.pii.names.tokens import (
    BLANK,
    BROAD,
    CAMEL,
    CAPITAL,
    DIGITS,
    GENITIVE,
    HASH_PRIME,
    HASH_SEED,
    LINE,
    LOWER,
    MARKED,
    SPACED,
    UPPER,
    WORD,
    Bytes,
    Hashes,
    Ints,
    Table,
    Tokens,
    _code_point,
)
from unrote.pii.names.tokens import TABLE as KNOWN_CODES

Int = Any  # an int64 to numba
Hash = Any  # a uint64
Words = NDArray[np.uint32]

FEATURES = 60
FEW_WORDS = 12
LEAST_COMMON = 3
AROUND = 3
"""Tokens before and behind a region that its features see."""

# What the lexicon knows of a word, by bit.
GIVEN, FAMILY, PLACE, PLACE_FIRST, PLACE_INNER, COUNTRY, HONORIFIC = 1, 2, 4, 8, 16, 32, 64
WHOLE_PLACE = 128  # of the hash of two or three words
COMMON_SHIFT, COMMON = 8, 7  # how often it stands in lower case, log scale
CASED_SHIFT, CASED = 11, 3  # how much of that it stands capitalised within a sentence
CLUSTER_SHIFT, CLUSTER = 16, 0xFF  # of words that stand among the same words; 0: none

_MIX_A, _MIX_B = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
_PAIR = np.uint64(0x8EBC6AF09C88C6E3)
_LOWERED = 0x3FFF
_UPPER, _NOTHING = 6, 15  # of `_case`
_SENTENCE_ENDS = (0x2E, 0x21, 0x3F, 0x3A, 0x22, 0x3B, 0x2A, 0x2D)  # . ! ? : " ; * -


class Lexicon(NamedTuple):
    """What is known of words: an open-addressing table of uint32[2**b] keys, the upper half of
    word hashes, 0 where there is none; and uint32[2**b] of the bits above.
    """

    keys: Words
    known: Words


def pair_hash(first: int, second: int) -> int:
    """The hash under which the lexicon has what is known of two words together."""
    return ((first * int(_PAIR)) ^ second) * int(_MIX_B) & 0xFFFFFFFFFFFFFFFF


@kernel
def fill_lexicon(keys: Words, known: Words, slots: Words, values: Words) -> None:
    """Enter `keys` (uint32[n], none 0) with `known` into the empty table slots, values."""
    mask = slots.size - 1
    for i in range(keys.size):
        at = np.int64(keys[i]) & mask
        while slots[at] != 0:
            at = (at + 1) & mask
        slots[at] = keys[i]
        values[at] = known[i]


@inlined
def _known(lexicon: Lexicon, value: Hash) -> Int:
    key = np.uint32(value >> np.uint64(32))
    mask = lexicon.keys.size - 1
    at = np.int64(key) & mask
    while lexicon.keys[at] != 0:
        if lexicon.keys[at] == key:
            return np.int64(lexicon.known[at])
        at = (at + 1) & mask
    return 0


@inlined
def _case(flag: Int) -> Int:
    """How a token is written, in 0 to 15."""
    if flag & WORD == 0:
        return 1 if flag & GENITIVE else 0
    kind = 2
    if flag & DIGITS:
        kind = 3 if flag & (UPPER | LOWER | CAPITAL) else 4
    elif flag & CAMEL:
        kind = 5
    elif flag & UPPER:
        kind = _UPPER
    elif flag & CAPITAL:
        kind = 8 if flag & LOWER else 7  # one letter
    return kind


@kernel
def lower_words(tokens: Tokens) -> NDArray[np.uint8]:
    """The words of a text that it has in lower case: uint8[2**b], by hash a tag of the last."""
    size = 64
    while size < 4 * tokens.starts.size:
        size *= 2
    seen = np.zeros(size, dtype=np.uint8)
    for i in range(tokens.starts.size):
        if tokens.flags[i] & (WORD | CAPITAL | LOWER | DIGITS) == (WORD | LOWER):
            value = tokens.hashes[i]
            seen[np.int64(value & np.uint64(size - 1))] = np.uint8(value >> np.uint64(56)) | 1
    return seen


@inlined
def is_seen(seen: NDArray[np.uint8], value: Hash) -> Any:
    """Whether `lower_words` has a word of this hash."""
    tag = np.uint8(value >> np.uint64(56)) | 1
    return seen[np.int64(value & np.uint64(seen.size - 1))] == tag


@kernel
def english_share(tokens: Tokens, lexicon: Lexicon) -> float:
    """The share of a text's words in lower case that are common in English; 1 where there are fewer
    than FEW_WORDS.
    """
    words = common = 0
    for i in range(tokens.starts.size):
        if tokens.flags[i] & (WORD | CAPITAL | LOWER | DIGITS | MARKED) == (WORD | LOWER):
            words += 1
            common += (_known(lexicon, tokens.hashes[i]) >> COMMON_SHIFT) & COMMON >= LEAST_COMMON
    return common / words if words >= FEW_WORDS else 1.0


@inlined
def _lowered(table: Table, code: Int) -> Int:
    return np.int64(table[code]) & _LOWERED if code < KNOWN_CODES else code


@inlined
def _spelling(data: Bytes, table: Table, start: Int, end: Int, parts: Hashes) -> None:
    """Into parts[0:10]: hashes of the first 1 to 4 letters and of the last 1 to 4, of the shape
    with runs as one, and the length.
    """
    value, shape, last, count, at = HASH_SEED, HASH_SEED, 0, 0, start
    for slot in range(10):
        parts[slot] = np.uint64(0)
    while at < end:
        packed = _code_point(data, at)
        code = packed & 0x1FFFFF
        lower = _lowered(table, code)
        value = (value ^ np.uint64(lower)) * HASH_PRIME
        if count < 4:
            parts[count] = value
        kind = 1 if lower != code else 2
        if code < 0x41:
            kind = 3 if 0x30 <= code <= 0x39 else 4
        if kind != last:
            shape = (shape ^ np.uint64(kind)) * HASH_PRIME
            last = kind
        count += 1
        at += packed >> 21
    back, value = end, HASH_SEED
    for slot in range(min(4, count)):
        back -= 1
        while data[back] & 0xC0 == 0x80:
            back -= 1
        lower = _lowered(table, _code_point(data, back) & 0x1FFFFF)
        value = (value ^ np.uint64(lower)) * HASH_PRIME
        parts[4 + slot] = value
    parts[8] = shape
    parts[9] = np.uint64(min(count, 12))


@inlined
def _index(template: Int, value: Hash, shift: Hash) -> Int:
    mixed = (value ^ (np.uint64(template) * _MIX_A)) * _MIX_B
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX_A
    return np.int64(mixed >> shift)


@inlined
def _both(one: Hash, other: Hash) -> Hash:
    return (one * _PAIR) ^ other


class _Context(NamedTuple):
    """What stands in and around a region, with AROUND tokens on both sides: of each the hash, what
    the lexicon knows, how it is written, the gap before it (0 none, 1 space, 2 line break, 3 blank
    line), and whether it begins (1) or goes on in (2) a place of several words.
    """

    words: Hashes
    known: NDArray[np.int64]
    cases: NDArray[np.int64]
    gaps: NDArray[np.int64]
    places: NDArray[np.int64]


@inlined
def _fill(tokens: Tokens, lexicon: Lexicon, first: Int, room: Int, context: _Context) -> None:
    """What lies beyond a blank line is not beside the region."""
    total = tokens.starts.size
    for i in range(room):
        at = first - AROUND + i
        context.words[i], context.known[i], context.places[i] = 0, 0, 0
        context.cases[i], context.gaps[i] = _NOTHING, 3
        if 0 <= at < total:
            flag = tokens.flags[at]
            context.words[i] = tokens.hashes[at]
            context.cases[i] = _case(flag)
            context.gaps[i] = 3 if flag & BLANK else 2 if flag & LINE else 1 if flag & SPACED else 0
            if flag & WORD:
                context.known[i] = _known(lexicon, tokens.hashes[at])
    for i in range(AROUND, 0, -1):
        if context.gaps[i] == 3:
            _clear(context, 0, i)
            break
    for i in range(room - AROUND, room):
        if context.gaps[i] == 3:
            _clear(context, i, room)
            break


@inlined
def _clear(context: _Context, start: Int, end: Int) -> None:
    for i in range(start, end):
        context.words[i], context.known[i], context.cases[i] = 0, 0, _NOTHING


@inlined
def _mark_places(lexicon: Lexicon, start: Int, end: Int, context: _Context) -> None:
    """Places of two and three words."""
    words, places = context.words, context.places
    for i in range(start, end - 1):
        two = ((words[i] * _PAIR) ^ words[i + 1]) * _MIX_B
        last = 0
        if _known(lexicon, two) & WHOLE_PLACE:
            last = i + 1
        if i + 2 < end and _known(lexicon, ((two * _PAIR) ^ words[i + 2]) * _MIX_B) & WHOLE_PLACE:
            last = i + 2
        if last:
            places[i] |= 1
        for j in range(i + 1, last + 1):
            places[j] |= 2


@inlined
def _begins(data: Bytes, tokens: Tokens, at: Int) -> Int:
    """3 where a token begins a paragraph, 2 a sentence, 1 a line, 0 nothing."""
    flag = np.int64(tokens.flags[at])
    if at == 0 or flag & BLANK:
        return 3
    if tokens.flags[at - 1] & WORD == 0:
        before = np.int64(data[tokens.starts[at - 1]])
        for end in _SENTENCE_ENDS:
            if before == end:
                return 2
    return 1 if flag & LINE else 0


@inlined
def _write(  # noqa: PLR0915 - a feature a line
    slots: Ints,
    shift: Hash,
    context: _Context,
    parts: Hashes,
    i: Int,
    end: Int,
    begins: Int,
    lower: Hash,
    spelled: Int,
    shouted: Int,
) -> None:
    """The features of token i of a context, whose region is [AROUND, end).

    parts: of its spelling (`_spelling`). lower: 1 where the document has it in lower case. spelled:
    its flags of BROAD and CAMEL. shouted: 1 where most of the region is in capitals.
    """
    words, known, cases, gaps = context.words, context.known, context.cases, context.gaps
    w, c, k = words[i], np.uint64(cases[i]), known[i]
    c1, c2 = np.uint64(cases[i - 1]), np.uint64(cases[i + 1])
    lists = np.uint64(k & 0xFF) | np.uint64(context.places[i] << 8)
    lists1, lists2 = np.uint64(known[i - 1] & 0x7F), np.uint64(known[i + 1] & 0x7F)
    common = np.uint64((k >> COMMON_SHIFT) & 31)
    group = np.uint64((k >> CLUSTER_SHIFT) & CLUSTER)
    group1 = np.uint64((known[i - 1] >> CLUSTER_SHIFT) & CLUSTER)
    group2 = np.uint64((known[i - 2] >> CLUSTER_SHIFT) & CLUSTER)
    group3 = np.uint64((known[i + 1] >> CLUSTER_SHIFT) & CLUSTER)
    group4 = np.uint64((known[i + 2] >> CLUSTER_SHIFT) & CLUSTER)
    begin = np.uint64(begins)
    begin_lower = begin * np.uint64(2) + lower
    position = np.uint64(min(i - AROUND, 3) * 4 + min(end - 1 - i, 3))
    line = np.uint64(gaps[i] | (gaps[i + 1] << 2) | (shouted << 4))
    before, head = words[AROUND - 1], words[end - 1]
    slots[0] = _index(0, np.uint64(0), shift)
    slots[1] = _index(1, w, shift)
    slots[2] = _index(2, _both(w, c), shift)
    slots[3] = _index(3, words[i - 1], shift)
    slots[4] = _index(4, words[i - 2], shift)
    slots[5] = _index(5, words[i + 1], shift)
    slots[6] = _index(6, words[i + 2], shift)
    slots[7] = _index(7, _both(words[i - 1], w), shift)
    slots[8] = _index(8, _both(w, words[i + 1]), shift)
    slots[9] = _index(9, _both(words[i - 2], words[i - 1]), shift)
    slots[10] = _index(10, _both(words[i + 1], words[i + 2]), shift)
    slots[11] = _index(11, parts[1], shift)
    slots[12] = _index(12, parts[2], shift)
    slots[13] = _index(13, parts[3], shift)
    slots[14] = _index(14, parts[4], shift)
    slots[15] = _index(15, parts[5], shift)
    slots[16] = _index(16, parts[6], shift)
    slots[17] = _index(17, parts[7], shift)
    slots[18] = _index(18, _both(parts[8], parts[9]), shift)
    slots[19] = _index(19, _both(parts[8], begin), shift)
    slots[20] = _index(20, _both(c, begin_lower), shift)
    slots[21] = _index(21, _both(lists, c), shift)
    slots[22] = _index(22, _both(lists, common), shift)
    slots[23] = _index(23, _both(lists1, lists), shift)
    slots[24] = _index(24, _both(lists, lists2), shift)
    slots[25] = _index(25, _both(_both(lists1, lists), lists2), shift)
    slots[26] = _index(26, _both(common, begin_lower), shift)
    slots[27] = _index(27, _both(common, c), shift)
    slots[28] = _index(28, _both(c1, c), shift)
    slots[29] = _index(29, _both(c, c2), shift)
    slots[30] = _index(30, _both(_both(c1, c), c2), shift)
    slots[31] = _index(31, _both(_both(c, c2), np.uint64(cases[i + 2])), shift)
    slots[32] = _index(32, _both(_both(np.uint64(cases[i - 2]), c1), c), shift)
    slots[33] = _index(33, position, shift)
    slots[34] = _index(34, _both(position, c), shift)
    slots[35] = _index(35, _both(head, np.uint64(i == end - 1)), shift)
    slots[36] = _index(36, before, shift)
    slots[37] = _index(37, _both(words[AROUND - 2], before), shift)
    slots[38] = _index(38, words[end], shift)
    slots[39] = _index(39, _both(before, lists), shift)
    slots[40] = _index(40, _both(words[i - 1], lists), shift)
    slots[41] = _index(41, _both(words[i + 1], lists), shift)
    slots[42] = _index(42, group, shift)
    slots[43] = _index(43, group1, shift)
    slots[44] = _index(44, group2, shift)
    slots[45] = _index(45, group3, shift)
    slots[46] = _index(46, group4, shift)
    slots[47] = _index(47, _both(group1, group), shift)
    slots[48] = _index(48, _both(group, group3), shift)
    slots[49] = _index(49, _both(group1, lists), shift)
    slots[50] = _index(50, _both(group3, lists), shift)
    slots[51] = _index(51, _both(line, c), shift)
    slots[52] = _index(52, _both(line, lists), shift)
    slots[53] = _index(53, _both(words[i - 1], c), shift)
    slots[54] = _index(54, _both(words[i + 1], c), shift)
    slots[55] = _index(55, _both(_both(words[i - 1], c), lower), shift)
    slots[56] = _index(56, _both(words[i - 3], words[i - 2]), shift)
    slots[57] = _index(57, _both(words[AROUND], np.uint64(i == AROUND)), shift)
    slots[58] = _index(58, _both(np.uint64(spelled), lists), shift)
    slots[59] = _index(59, _both(group1, group3), shift)


@kernel
def features(
    data: Bytes,
    table: Table,
    tokens: Tokens,
    lexicon: Lexicon,
    seen: NDArray[np.uint8],
    firsts: Ints,
    lasts: Ints,
    bits: int,
) -> NDArray[np.int32]:
    """int32[a, FEATURES]: indices below 2**bits, of the tokens of all regions, in order. seen:
    `lower_words` of the text.
    """
    shift = np.uint64(64 - bits)
    active = longest = 0
    for region in range(firsts.size):
        active += lasts[region] - firsts[region]
        longest = max(longest, lasts[region] - firsts[region])
    room = longest + 2 * AROUND
    context = _Context(
        np.empty(room, np.uint64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    out = np.empty((active, FEATURES), dtype=np.int32)
    parts = np.empty(10, dtype=np.uint64)
    row = 0
    for region in range(firsts.size):
        first, count = np.int64(firsts[region]), np.int64(lasts[region]) - np.int64(firsts[region])
        end = AROUND + count
        _fill(tokens, lexicon, first, end + AROUND, context)
        _mark_places(lexicon, AROUND, end, context)
        upper = 0
        for i in range(AROUND, end):
            upper += context.cases[i] == _UPPER
        shouted = 1 if 2 * upper > count > 1 else 0
        for i in range(AROUND, end):
            at = first - AROUND + i
            _spelling(data, table, tokens.starts[at], tokens.ends[at], parts)
            lower = np.uint64(1 if is_seen(seen, context.words[i]) else 0)
            spelled = np.int64(tokens.flags[at]) & (BROAD | CAMEL)
            begins = _begins(data, tokens, at)
            _write(out[row], shift, context, parts, i, end, begins, lower, spelled, shouted)
            row += 1
    return out
