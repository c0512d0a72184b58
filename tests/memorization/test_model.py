import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertLMHeadModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    PreTrainedTokenizerFast,
)

from tests.memorization import reference, tiny
from unrote import memorization
from unrote.corpus.errors import ConfigError
from unrote.corpus.pretrained import device_for, digest, precision_for
from unrote.memorization import tokenizer
from unrote.memorization.forward import statistics
from unrote.memorization.model import (
    check_same_tokens,
    load,
    prepare,
)
from unrote.memorization.windows import sequences, tokenize


@pytest.fixture
def folder(tmp_path):
    return tiny.save(tmp_path / "model")


def refused(folder):
    with pytest.raises(ConfigError) as error:
        load(str(folder))
    assert str(folder) in str(error.value)
    return str(error.value)


def test_the_import_is_quick():
    code = "import sys, memorization; print({'torch', 'transformers', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_packaged_tokenizer_needs_no_torch():
    """Every worker that cuts sequences would load it, for longer than it cuts a small corpus."""
    code = (
        "import sys; from unrote.memorization.sequences import CutSequences, tokenizer_of; "
        "tokenizer_of('default'); print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_measures_need_no_torch():
    code = "import sys, memorization.measures; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_folder_gives_the_model_that_was_saved(folder):
    loaded = load(str(folder), device="cpu")
    made = tiny.model()
    assert loaded.dtype == torch.float32
    assert (loaded.vocabulary, loaded.context) == (made.vocabulary, 128)
    assert (loaded.bos, loaded.adds_bos, loaded.separable) == (None, False, True)
    for key, value in made.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], value)
    assert loaded.tokenizer.encode("the age").ids == made.tokenizer.encode("the age").ids


def test_half_precision_weights_are_read_as_float32_on_a_cpu(folder):
    weights = {k: v.half() for k, v in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = load(str(folder), device="cpu")
    assert loaded.dtype == torch.float32
    key = "model.embed_tokens.weight"
    assert torch.equal(loaded.network.state_dict()[key], weights[key].float())


def test_a_tokenizer_that_begins_texts_is_heeded(tmp_path):
    loaded = load(str(tiny.save(tmp_path / "model", bos=True)), device="cpu")
    assert loaded.adds_bos
    assert loaded.bos == loaded.tokenizer.token_to_id("<s>")


@pytest.mark.parametrize("name", ["", "default"])
def test_the_default_model_is_the_one_in_the_package(tmp_path, monkeypatch, name):
    def packaged(package, folder):
        assert (package, folder) == ("unrote.memorization", "default")
        if not (tmp_path / "default").is_dir():
            raise FileNotFoundError
        return tmp_path / "default"

    monkeypatch.setattr(tokenizer, "packaged_folder", packaged)
    with pytest.raises(ConfigError, match="lacks the default model"):
        load(name)
    tiny.save(tmp_path / "default")
    assert load(name, device="cpu").name == "default"


def test_a_name_that_is_not_on_disk_gives_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match="hf download owner/no-such-model"):
        load("owner/no-such-model")
    with pytest.raises(ConfigError, match="no name that the Hugging Face hub could have"):
        load("/no/such/folder")


def test_a_name_in_the_cache_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--owner--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    tiny.save(cached / "snapshots" / ("0" * 40))
    assert load("owner/tiny", device="cpu").vocabulary == tiny.model().vocabulary


def test_a_folder_that_is_no_model(tmp_path):
    assert "no config.json" in refused(tmp_path)


def test_only_safetensors_are_read(folder):
    (folder / "model.safetensors").unlink()
    torch.save(tiny.llama(320).state_dict(), folder / "pytorch_model.bin")
    assert "no *.safetensors" in refused(folder)


@pytest.mark.parametrize("kind", ["evil", "llama"])
def test_no_code_of_a_folder_is_run(folder, kind, tmp_path):
    """Whether transformers knows the kind itself or would need the code for it."""
    mark = tmp_path / "it-ran"
    for name in ("configuration_evil.py", "modeling_evil.py", "tokenization_evil.py"):
        (folder / name).write_text(f"open({str(mark)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": kind,
        "auto_map": {
            "AutoConfig": "configuration_evil.C",
            "AutoModelForCausalLM": "modeling_evil.M",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    path = folder / "tokenizer_config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"auto_map": {"AutoTokenizer": ["tokenization_evil.T"] * 2}}))
    try:
        load(str(folder), device="cpu")
    except ConfigError:
        assert kind == "evil"
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("tokenizer_config.json", {"tokenizer_file": "/etc/tokenizer.json"}),
        ("tokenizer_config.json", {"vocab_file": "../vocab.txt"}),
        ("model.safetensors.index.json", {"weight_map": {"a": "../../other.safetensors"}}),
    ],
)
def test_a_folder_that_names_files_elsewhere(folder, file, said):
    path = folder / file
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | said))
    assert file in refused(folder)


def test_cut_off_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "broken model.safetensors" in refused(folder)


def test_lacking_weights(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 1 weights (model.layers.0.mlp.up_proj.weight" in refused(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_corrupt_json(folder, file):
    (folder / file).write_text("{")
    assert "cannot be loaded" in refused(folder)


def test_a_lacking_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert "has no tokenizer" in refused(folder)


def test_weights_of_another_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    assert "cannot be loaded" in refused(folder)


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "m.C", "AutoModelForCausalLM": "m.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    ran = tmp_path / "ran"
    (folder / "m.py").write_text(f"open({str(ran)!r}, 'w')")
    assert "code of its own is not run" in refused(folder)
    assert not ran.exists()


def test_weights_that_are_no_numbers():
    network = tiny.llama(320)
    with torch.no_grad():
        network.lm_head.weight[3, 3] = torch.nan
    with pytest.raises(ConfigError, match="no finite numbers"):
        prepare("broken", network, tiny.tokenizer())


def test_models_that_see_the_future():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=320,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    with pytest.raises(ConfigError, match=r"BertLMHeadModel.*not a causal"):
        prepare("bert", BertLMHeadModel(config), tiny.tokenizer())


def test_a_tokenizer_of_another_model():
    with pytest.raises(ConfigError, match="has 300 tokens, its tokenizer one of number 319"):
        prepare("mixed", tiny.llama(300), tiny.tokenizer())


def test_a_tokenizer_without_offsets():
    class Slow:
        bos_token_id = None

    with pytest.raises(ConfigError, match="no fast tokenizer"):
        prepare("slow", tiny.llama(320), Slow())


def test_models_that_change_logits_behind_their_head():
    torch.manual_seed(0)
    words = tiny.tokenizer()
    config = Gemma2Config(
        vocab_size=320,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=2.0,
        max_position_embeddings=128,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    capped = prepare("gemma", Gemma2ForCausalLM(config), words)
    assert not capped.separable
    found = sequences(tokenize(capped.tokenizer, list(tiny.SENTENCES[:2])), 6, 5)
    stats = statistics(capped, found)
    for i in range(len(found)):
        ids = found.ids[found.offsets[i] : found.offsets[i + 1]].tolist()
        rows = reference.logits_of(capped, ids, bos=False)
        expected = [reference.log_softmax(r)[t] for r, t in zip(rows, ids, strict=True) if r]
        ours = stats.logprob[stats.offsets[i] : stats.offsets[i + 1]]
        assert ours.tolist() == pytest.approx(expected, abs=1e-4)


def test_what_is_done_to_the_tokenizer_later_does_not_matter():
    words = PreTrainedTokenizerFast(
        tokenizer_object=type(tiny.model().tokenizer).from_str(tiny.model().tokenizer.to_str())
    )
    made = prepare("tiny", tiny.llama(len(words)), words)
    before = tokenize(made.tokenizer, list(tiny.SENTENCES)).ids
    words.pad_token = "a"
    words(list(tiny.SENTENCES), padding=True, truncation=True, max_length=7)
    assert tokenize(made.tokenizer, list(tiny.SENTENCES)).ids.tolist() == before.tolist()


def test_two_models_must_cut_texts_alike():
    check_same_tokens(tiny.model(), tiny.model(seed=1))
    words = tiny.tokenizer(300)
    other = prepare("other", tiny.llama(len(words)), words)
    with pytest.raises(ConfigError, match=r"'tiny' \(320 tokens\) and 'other' \(300 tokens\)"):
        memorization.score(["x"], tiny.model(), comparison=other)


def test_same_vocabulary_and_other_merges_are_not_alike():
    changed = json.loads(tiny.tokenizer().backend_tokenizer.to_str())
    changed["model"]["merges"] = changed["model"]["merges"][:-5]
    words = PreTrainedTokenizerFast(
        tokenizer_object=type(tiny.model().tokenizer).from_str(json.dumps(changed))
    )
    other = prepare("other", tiny.llama(320), words)
    with pytest.raises(ConfigError, match="different tokenizers"):
        check_same_tokens(tiny.model(), other)


def test_devices():
    assert device_for("cpu", "x") == torch.device("cpu")
    assert device_for("auto", "x").type in {"cpu", "cuda", "mps"}
    for name in ("cuda:99", "tpu", "cuda:", "cpu:1", "", "cuda:-1", "mps:3"):
        with pytest.raises(ConfigError, match=f"memorization.device = '{name}': this machine has"):
            device_for(name, "memorization.device")


def test_precisions():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert precision_for("auto", cpu, "x") == torch.float32
    assert precision_for("auto", gpu, "x") == torch.bfloat16
    assert precision_for("float16", cpu, "x") == torch.float16
    with pytest.raises(ConfigError, match=r"memorization\.precision = 'int8'"):
        precision_for("int8", cpu, "memorization.precision")


def test_the_digest_is_of_what_is_read(folder):
    before = digest(folder)
    (folder / "README.md").write_text("a model card")
    assert digest(folder) == before
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert digest(folder) != before
