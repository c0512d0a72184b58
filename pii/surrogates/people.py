"""The people of a document: a name in part has the surrogate that it has in the whole.

"Hoffmann" has the surrogate of its word wherever it stands (pii.surrogates.names). What "Maria" and
"M. Hoffmann" become depends on the surname that goes with "Maria" in the same document.
"""

from collections.abc import Iterable

from unrote.pii.keys import Key
from unrote.pii.surrogates.names import (
    cased,
    given_for,
    may_be_initials,
    surname_for,
    with_initials,
    words_of_name,
)


class People:
    """Whole names of a document, given name and surname.

    names: the values that were found to be people, in the text's order. A given name that several
    people have is the first one's.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._surname_of: dict[str, str] = {}
        self._given_of: dict[str, list[str]] = {}
        for name in names:
            words = words_of_name(name)
            if words is None or not words[1]:
                continue
            surname, given, _ = words
            self._surname_of.setdefault(given[0].casefold(), surname)
            self._given_of.setdefault(surname.casefold(), []).append(given[0])

    def surrogate(self, value: str, key: Key) -> str | None:
        """The surrogate of a name that is a part of one in the document; None if it is no such."""
        words = words_of_name(value)
        if words is None or words[1]:
            return None
        word, _, initials = words
        if word.casefold() in self._surname_of and not initials:
            if word.casefold() in self._given_of:
                return None  # of somebody a surname
            surname = surname_for(key, self._surname_of[word.casefold()])
            name = given_for(key, surname, word)
            return None if name.casefold() == word.casefold() else _written(value, word, name)
        letters = {
            initial: given_for(key, surname_for(key, word), given)[0]
            for initial in may_be_initials(value)
            for given in self._given_of.get(word.casefold(), ())
            if given[:1] == initial
        }
        return with_initials(key, value, letters) if letters else None

    def has_given(self, value: str) -> bool:
        """Whether a value is a given name alone that stands beside a surname in the document."""
        words = words_of_name(value)
        return words is not None and not words[1] and words[0].casefold() in self._surname_of


def _written(value: str, word: str, name: str) -> str:
    at = value.rindex(word)
    return value[:at] + cased(name, word) + value[at + len(word) :]
