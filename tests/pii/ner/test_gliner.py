"""The adapter of GLiNER against a stand-in for its module: what it is asked, and what comes of its
answers. GLiNER itself is not installed with the tests: it wants an older transformers.
"""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from unrote.corpus.errors import ConfigError
from unrote.pii.config import Config
from unrote.pii.ner import entities_of
from unrote.pii.ner.gliner_model import BATCH, THRESHOLD
from unrote.pii.scanner import Scanner

WORDS = {"Maria": ("person", 0.9), "Springfield": ("location", 0.6), "Acme": ("firm", 0.8)}


class StandIn:
    """Finds WORDS; a batch of more than `most` does not fit into memory."""

    def __init__(self, most=1000):
        self.most, self.asked, self.sizes = most, [], []

    def to(self, device):
        self.device = device
        return self

    def eval(self):
        return self

    def inference(self, texts, labels, *, threshold, batch_size):
        self.asked.append((tuple(labels), threshold))
        self.sizes.append(batch_size)
        assert batch_size == len(texts)
        if len(texts) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return [
            [
                {"start": text.index(w), "end": text.index(w) + len(w), "text": w, "label": label,
                 "score": score}
                for w, (label, score) in WORDS.items() if w in text and label in labels
            ]
            for text in texts
        ]  # fmt: skip


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """(model, its folder); `gliner` is a module that loads it from there."""
    model, module = StandIn(), ModuleType("gliner")

    def from_pretrained(folder, *, local_files_only, map_location):
        assert local_files_only
        assert map_location == "cpu"
        assert folder == str(tmp_path)
        return model

    module.GLiNER = SimpleNamespace(from_pretrained=from_pretrained)
    monkeypatch.setitem(sys.modules, "gliner", module)
    (tmp_path / "gliner_config.json").write_text(json.dumps({}))
    save_file({"w": torch.zeros(1)}, tmp_path / "model.safetensors")
    return model, tmp_path


def config(folder, **labels):
    return Config(
        ner=f"gliner:{folder}", ner_labels=tuple(labels.items()), ner_device="cpu", secrets=False
    )


TEXTS = [f"{'so ' * n}Maria of Acme lives in Springfield{'.' * n}" for n in range(20)]


def found(texts, settings):
    return [
        [(text[f.start : f.end], f.type, f.score) for f in entities]
        for text, entities in zip(texts, entities_of(texts, settings), strict=True)
    ]


def test_what_it_finds_is_told_by_offsets_and_types_of_ours(stand_in):
    model, folder = stand_in
    assert found(TEXTS, config(folder)) == [
        [("Maria", "PERSON", 0.9), ("Springfield", "LOCATION", 0.6)]
    ] * len(TEXTS)
    assert {labels for labels, _ in model.asked} == {
        ("person", "location", "address", "organization")
    }
    assert {threshold for _, threshold in model.asked} == {THRESHOLD}
    assert max(model.sizes) <= BATCH["cpu"]


def test_it_is_asked_for_the_labels_of_the_settings(stand_in):
    model, folder = stand_in
    settings = config(folder, firm="ORGANIZATION", person="PERSON")
    assert found(["Maria of Acme"], settings) == [
        [("Maria", "PERSON", 0.9), ("Acme", "ORGANIZATION", 0.8)]
    ]
    assert {labels for labels, _ in model.asked} == {("firm", "person")}


def test_a_batch_that_does_not_fit_is_halved(stand_in):
    model, folder = stand_in
    model.most = 3
    assert found(TEXTS, config(folder, person="PERSON")) == [[("Maria", "PERSON", 0.9)]] * 20
    assert model.sizes[:3] == [8, 4, 2]


def test_an_error_of_another_kind_is_raised(stand_in):
    model, folder = stand_in

    def inference(*_, **__):
        raise RuntimeError("shapes do not match")

    model.inference = inference
    with pytest.raises(RuntimeError, match="shapes"):
        entities_of(["Maria"], config(folder, person="NAME"))


def test_the_scanner_holds_findings_against_their_thresholds(stand_in):
    _, folder = stand_in
    settings = config(folder, person="PERSON", location="PLACE")
    strict = Config(**{**vars(settings), "thresholds": (("PLACE", 0.7),)})
    assert {f.type for f in Scanner(strict).find("Maria in Springfield") if ":" in f.origin} == {
        "PERSON"
    }


def test_what_cannot_be_loaded_is_said(stand_in):
    _, folder = stand_in
    sys.modules["gliner"].GLiNER.from_pretrained = lambda *_, **__: 1 / 0
    with pytest.raises(ConfigError, match="cannot be loaded: ZeroDivisionError"):
        entities_of(["Maria"], config(folder, person="SOMEBODY"))
