"""Token classifiers of the architectures that are in use, tiny and with random weights."""

import dataclasses
import json
import unicodedata

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from tests.pii.ner import tiny
from unrote.corpus.errors import ConfigError, RunError
from unrote.corpus.normalization import NFC
from unrote.pii import ner
from unrote.pii.config import Config
from unrote.pii.findings import Finding
from unrote.pii.ner import (
    Model,
    cutter_of,
    entities_of,
    load_model,
    merged,
    only_model,
    token_classifier,
)
from unrote.pii.ner.decoding import decode
from unrote.pii.ner.labels import scheme_of


@pytest.fixture(scope="module", params=tiny.CONFIGURATIONS)
def folder(request, tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("model") / request.param, request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("model") / "bert", "bert")


def config(folder, **settings) -> Config:
    return Config(ner=f"transformers:{folder}", **settings)


def test_every_architecture_finds_whole_words_within_its_text(folder):
    texts = [tiny.TEXT * 6, " \n", "Zoe\u0301 Müller", "x"]
    found = entities_of(texts, config(folder))
    assert found[0]
    assert not found[1]
    for text, entities in zip(texts, found, strict=True):
        for one in entities:
            value = text[one.start : one.end]
            assert 0 <= one.start < one.end <= len(text)
            assert value == value.strip()
            assert 0 < one.score <= 1
            assert one.origin == f"transformers:{folder.name}"
            before, after = text[one.start - 1 : one.start], text[one.end : one.end + 1]
            assert not (before.isalpha() and before.isascii() and value[0].isalpha())
            assert not (after.isalpha() and after.isascii() and value[-1].isalpha())


def test_one_window_is_what_the_network_says(folder):
    """By transformers alone, one text at a time: tokenizer, network, softmax, and our decoding."""
    name = f"transformers:{folder}"
    network = AutoModelForTokenClassification.from_pretrained(folder)
    text = "Maria Hoffmann met Jane, and Zoë."
    kind = tiny.CONFIGURATIONS[folder.name][2]
    encoded = tiny.tokenizer(kind)(text, return_offsets_mapping=True, return_tensors="pt")
    offsets = encoded.pop("offset_mapping")[0].numpy()
    encoded.pop("token_type_ids", None)
    with torch.inference_mode():
        whole = network(**encoded).logits[0].log_softmax(-1).numpy()
    inside = slice(0, None) if kind == "plain-bytes" else slice(1, -1)
    scheme = scheme_of(tiny.CONFIGURATIONS[folder.name][3], "x")
    log_probs, spans = whole[inside], offsets[inside]
    if not scheme.by_token:
        words = [n for n, (a, _) in enumerate(spans) if a == 0 or not text[a - 1 : a + 1].isalpha()]
        words = [n for n in words if text[spans[n][0] : spans[n][1]].strip()]
        log_probs, spans = log_probs[words], spans[words]
    expected = decode(np.ascontiguousarray(log_probs), scheme, opens=True, closes=True)
    with only_model(Model(name)) as model:
        windows = cutter_of(name, model.width).cut([text], NFC)
        found = model.find(windows).to_pylist()
        known = {n for n, type_ in enumerate(scheme.types) if type_ not in model.ignored}
    assert windows.num_rows == 1
    starts = {
        word_at(text, int(spans[a][0]))
        for a, type_ in zip(expected.first.tolist(), expected.type.tolist(), strict=True)
        if type_ in known
    }
    assert found
    assert {row["start"] for row in found} <= starts
    assert scheme.by_token or {row["start"] for row in found} == starts


def word_at(text: str, start: int) -> int:
    """Where the word begins that a token from `start` on lies in, behind a space."""
    start += text[start] == " "
    while start and text[start - 1 : start + 1].isalpha():
        start -= 1
    return start


def test_what_is_found_does_not_depend_on_the_batch(folder):
    texts = [tiny.TEXT[n : n + 20 + 7 * n] for n in range(6)]
    together = entities_of(texts, config(folder))
    for text, found in zip(texts, together, strict=True):
        alone = entities_of([text], config(folder))[0]
        assert [one._replace(score=0) for one in found] == [one._replace(score=0) for one in alone]
        assert [one.score for one in found] == pytest.approx([o.score for o in alone], abs=2e-4)
    assert sum(map(len, together)) > 5


def test_long_texts_are_read_in_windows(tmp_path):
    """A network that looks at nothing but the token itself says the same in any window."""
    folder = tiny.save(tmp_path / "model", "bert", num_hidden_layers=0)
    network = AutoModelForTokenClassification.from_pretrained(folder)
    with torch.no_grad():
        network.bert.embeddings.position_embeddings.weight.zero_()
    network.save_pretrained(folder)
    line = "Dr. Maria Hoffmann met Jane in Springfield, at 12 Main Street.\n"
    (once,), (often,) = (entities_of([line * count], config(folder)) for count in (1, 40))
    assert load_model(Model.of(config(folder))).width < len(
        tiny.tokenizer("wordpiece")(line * 40).input_ids
    )
    inside = [one for one in once if one.start > 0 and one.end < len(line) - 1]
    assert inside
    found = {(one.start, one.end, one.type, one.score) for one in often}
    for number in range(40):
        for one in inside:
            place = (one.start + number * len(line), one.end + number * len(line))
            assert (*place, one.type, one.score) in found


def test_canonically_equal_texts_have_the_same_entities(bert):
    text = (tiny.TEXT + " Zoé met Müller. ") * 6
    other = unicodedata.normalize("NFD", text)
    found, also = entities_of([text, other], config(bert))
    assert [(text[a.start : a.end], a.type, a.score) for a in found] == [
        (NFC.text(other[b.start : b.end]), b.type, b.score) for b in also
    ]
    assert found


def test_labels_by_configuration(bert):
    loaded = load_model(Model.of(config(bert)))
    assert loaded.entities == ("LOCATION", "PERSON")
    assert loaded.ignored == ("MISC",)
    own = (("B-MISC", "GROUP"), ("LOC", ""))
    loaded = load_model(Model.of(config(bert, ner_labels=own)))
    assert loaded.entities == ("GROUP", "PERSON")
    assert loaded.ignored == ()
    found = entities_of([tiny.TEXT * 3], config(bert, ner_labels=own))[0]
    assert {one.type for one in found} <= {"GROUP", "PERSON"}
    with pytest.raises(ConfigError, match=r"pii.ner_labels names NAME, which model .* lacks"):
        load_model(Model.of(config(bert, ner_labels=(("NAME", "PERSON"),))))


def test_parts_of_a_name_are_one_entity(tmp_path):
    labels = ("O", "B-first_name", "I-first_name", "B-last_name", "I-last_name")
    folder = tiny.save(tmp_path / "model", "bert", labels=labels, num_hidden_layers=0)
    network = AutoModelForTokenClassification.from_pretrained(folder)
    words = tiny.tokenizer("wordpiece")
    with torch.no_grad():
        network.bert.embeddings.position_embeddings.weight.zero_()
        network.bert.embeddings.token_type_embeddings.weight.zero_()
        weights = network.bert.embeddings.word_embeddings.weight
        weights.zero_()
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([3.0, 0, 0, 0, 0]))
        for number, (word, label) in enumerate([("maria", 1), ("hoffmann", 3)]):
            token = words(word, add_special_tokens=False).input_ids[0]
            weights[token, number] = 1
            network.classifier.weight[label, number] = 5
    network.save_pretrained(folder)
    text = "Then Maria Hoffmann, and Hoffmann. Maria."
    found = entities_of([text], config(folder))[0]
    assert [text[one.start : one.end] for one in found] == ["Maria Hoffmann", "Hoffmann", "Maria"]


def test_entities_of_two_windows_that_overlap_are_one():
    found = [
        Finding(5, 9, "PERSON", 0.8, "m"),
        Finding(7, 12, "PERSON", 0.9, "m"),
        Finding(7, 12, "LOCATION", 0.5, "m"),
        Finding(12, 14, "PERSON", 0.7, "m"),
    ]
    assert merged(found) == [
        Finding(5, 12, "PERSON", 0.9, "m"),
        Finding(7, 12, "LOCATION", 0.5, "m"),
        Finding(12, 14, "PERSON", 0.7, "m"),
    ]


def test_memory_that_runs_out_halves_batches(bert, monkeypatch):
    texts = [tiny.TEXT[n:] for n in range(8)]
    expected = entities_of(texts, config(bert))
    real = token_classifier.TokenClassifier._log_probs

    def small(self, ids):
        if len(ids) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, ids)

    monkeypatch.setattr(token_classifier.TokenClassifier, "_log_probs", small)
    assert entities_of(texts, config(bert)) == expected

    def none(self, ids):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(token_classifier.TokenClassifier, "_log_probs", none)
    with pytest.raises(RunError, match=r"pii.ner_device"):
        entities_of(texts, config(bert))


def test_broken_weights_are_no_text_without_names(tmp_path):
    folder = tiny.save(tmp_path / "model", "bert")
    network = AutoModelForTokenClassification.from_pretrained(folder)
    with torch.no_grad():
        network.classifier.bias[0] = torch.nan
    network.save_pretrained(folder)
    with pytest.raises(ConfigError, match="no finite numbers"):
        load_model(Model.of(config(folder)))


def test_models_that_cannot_be_used(bert, tmp_path):
    for name, message in {
        "/no/such": "no folder, and no name",
        "someone/no-such": "not in the Hugging Face cache; nothing is downloaded",
        str(tmp_path): "has no tokenizer",
    }.items():
        with pytest.raises(ConfigError, match=message):
            load_model(Model(f"transformers:{name}"))
    with pytest.raises(ConfigError, match=r"pii.ner_device = 'cuda:99': this machine has"):
        load_model(Model(f"transformers:{bert}", "cuda:99"))
    folder = tiny.save(tmp_path / "numbered", "bert", labels=("O", "LABEL_1", "LABEL_2"))
    with pytest.raises(ConfigError, match=r"No label of model .*: LABEL_1, LABEL_2"):
        load_model(Model(f"transformers:{folder}"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"no .*safetensors, and weights of other kinds"):
        load_model(Model(f"transformers:{folder}"))


def test_a_head_that_was_never_trained_is_refused(bert, tmp_path):
    network = AutoModelForTokenClassification.from_pretrained(bert)
    network.bert.save_pretrained(tmp_path)
    tiny.tokenizer("wordpiece").save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"architectures": None}))
    with pytest.raises(ConfigError, match=r"lacks 2 weights .*Name a token classifier"):
        load_model(Model(f"transformers:{tmp_path}"))


def test_the_digest_is_of_the_files(bert, tmp_path):
    other = tiny.save(tmp_path / "other", "bert", seed=1)
    one, two = (load_model(Model(f"transformers:{folder}")) for folder in (bert, other))
    assert one.digest != two.digest
    assert dataclasses.replace(one, digest="") == dataclasses.replace(two, digest="")
    assert ner.origin_of("transformers:dslim/bert-base-NER") == "transformers:bert-base-NER"
