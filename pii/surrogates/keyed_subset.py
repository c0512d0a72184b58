"""The keyed subset: which members of a domain are surrogates.

A domain is the numbers below `size`, each of which a family of surrogates can write as a value and
read back. The key gives a permutation of the domain, and a value is a surrogate if the permutation
takes it from below `members`. So a surrogate is drawn without trial, and recognised without a list,
by the inverse. A value that is not one of ours is taken for one with probability members / size.

The permutation is a Feistel network of eight rounds over two digits of base ceil(sqrt(size)), in
the manner of NIST SP 800-38G (FF1), with cycle walking where the square is larger than the domain.
It is not there to hide the original, which is not among its inputs (`Family.draw` gives it a keyed
hash of the original), but to make the subset look random without the key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

from unrote.pii.keys import Key, packed

ROUNDS = 8

MAX_CHECK_BITS = 32
"""A rate of 2**-32 is rare enough; further bits would only make surrogates fewer."""


def check_bits(size: int, reserved: bool) -> int:
    """How many of a domain's bits are the check by which its surrogates are recognised.

    Two fifths, which balances the two ways to be wrong: to take a real value for a surrogate, and
    to give two originals one surrogate. Of a range that no real value is in, an eighth and at least
    two: there the range itself is a check.
    """
    bits = (size - 1).bit_length()
    if reserved:
        return 1 if bits < 16 else min(MAX_CHECK_BITS, max(2, bits // 8))
    return min(MAX_CHECK_BITS, bits * 2 // 5)


@dataclass(frozen=True, slots=True)
class Subset:
    """The surrogates of one domain under one key."""

    key: Key
    name: str
    """Domains of different names have unrelated permutations."""
    size: int
    bits: int
    """-log2 of the share of the domain that are surrogates."""

    @property
    def members(self) -> int:
        return self.size >> self.bits

    def drawn(self, *seed: str | int) -> int:
        """The index of the surrogate that a seed draws."""
        return self._walk(self.key.number(self.members, "draw", self.name, *seed), self._forward)

    def contains(self, index: int) -> bool:
        return _contains(self, index)

    def _walk(self, index: int, step: Callable[[int, int], int]) -> int:
        base = isqrt(self.size - 1) + 1
        index = step(index, base)
        while index >= self.size:
            index = step(index, base)
        return index

    def _forward(self, index: int, base: int) -> int:
        left, right = divmod(index, base)
        number = self.key.number_behind
        for round_ in _rounds(self.name, self.size):
            left, right = right, (left + number(base, round_, right)) % base
        return left * base + right

    def _backward(self, index: int, base: int) -> int:
        left, right = divmod(index, base)
        number = self.key.number_behind
        for round_ in reversed(_rounds(self.name, self.size)):
            left, right = (right - number(base, round_, left)) % base, left
        return left * base + right


@lru_cache(maxsize=1 << 16)
def _contains(subset: Subset, index: int) -> bool:
    return subset._walk(index, subset._backward) < subset.members


@lru_cache(maxsize=1 << 12)
def _rounds(name: str, size: int) -> tuple[bytes, ...]:
    """What each round adds to the half that it hashes."""
    return tuple(packed("round", name, size, round_) for round_ in range(ROUNDS))
