"""How similar edited texts are, in a script without spaces and in English, by length of n-gram.

    python -m benchmarks.without_spaces --words words.txt --english prose.jsonl.zst
        [--distinct texts.txt] [--tokens 3 4 5]

words: a line a sentence, words parted by white space, each perhaps with "/tag" behind it. Documents
of about `--length` words are made of it, and of the English texts; in a copy of each a share of the
words, drawn at random, is replaced by other words of the corpus. Printed is, by that share, the
share of copies whose similarity is at or above 0.8: of the English ones by 5 words, of the others
by each number of tokens. With --distinct, a text a line, also how many pairs of these are found,
and those that only shorter n-grams find, to be read.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.near_recall import brute_force, load
from unrote.pipelines.verify.tokens import tokens_of

CHANGED = (0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.08)


def documents(sentences: Iterator[list[str]], length: int, most: int) -> list[list[str]]:
    """Runs of whole sentences with at least `length` words each."""
    found: list[list[str]] = []
    words: list[str] = []
    for sentence in sentences:
        words += sentence
        if len(words) >= length:
            found.append(words[: 2 * length])
            words = []
            if len(found) == most:
                break
    return found


def edited(words: list[str], share: float, vocabulary: list[str], draw: random.Random) -> list[str]:
    """The words with a share of them replaced."""
    new = list(words)
    for at in draw.sample(range(len(new)), round(share * len(new))):
        new[at] = draw.choice(vocabulary)
    return new


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    found = tokens_of(text, "word")
    return set(zip(*(found[at:] for at in range(n)), strict=False))


def similarity(left: str, right: str, n: int) -> float:
    a, b = grams(left, n), grams(right, n)
    return len(a & b) / max(len(a | b), 1)


def found_share(
    texts: list[list[str]], joiner: str, share: float, n: int, threshold: float
) -> float:
    draw = random.Random(f"{share}")
    vocabulary = [word for words in texts for word in words if word[0].isalpha()]
    pairs = [(words, edited(words, share, vocabulary, draw)) for words in texts]
    found = [similarity(joiner.join(a), joiner.join(b), n) >= threshold for a, b in pairs]
    return sum(found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--english", type=Path, required=True)
    parser.add_argument("--distinct", type=Path)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2, 3, 4, 5, 7])
    arguments = parser.parse_args()
    lines = arguments.words.read_text().splitlines()
    segmented = ([w.rsplit("/", 1)[0] for w in line.split()] for line in lines)
    without = documents(segmented, arguments.length, arguments.documents)
    english = documents(
        (line.split() for text in load(arguments.english) for line in text.splitlines()),
        arguments.length,
        arguments.documents,
    )
    print("changed  English 5  " + "  ".join(f"{n} tokens" for n in arguments.tokens))
    for share in CHANGED:
        row = [found_share(english, " ", share, 5, 0.8)]
        row += [found_share(without, "", share, n, 0.8) for n in arguments.tokens]
        print(f"{share:7.1%}  " + "  ".join(f"{found:8.0%}" for found in row))
    if arguments.distinct:
        texts = sorted(set(arguments.distinct.read_text().splitlines()))
        pairs = {n: brute_force(texts, 0.8, "word", n) for n in arguments.tokens}
        print({n: len(found) for n, found in pairs.items()})
        longest = max(arguments.tokens)
        for n in sorted(arguments.tokens, reverse=True)[1:]:
            for (a, b), score in pairs[n].items():
                if (a, b) not in pairs[longest]:
                    print(f"{n} {score:.3f}\n  {texts[a]}\n  {texts[b]}")
            longest = n


if __name__ == "__main__":
    main()
