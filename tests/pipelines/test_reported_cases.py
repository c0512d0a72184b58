"""What users reported of scrubbing, kind by kind, through the command with its defaults."""

import ast
import json
import re
import time

import pytest

from tests.command import unrote
from tests.corpora import write_jsonl
from unrote.pipelines.verify import verify


def mixed(size, alphabet="aB3dE6gH9jK2mN5pQ8sT1vW4yZ7b"):
    """A token of letters and digits, made here so that no scanner takes this file for a leak."""
    return (alphabet * (size // len(alphabet) + 1))[:size]


SECRETS = {
    "github": ("export GITHUB_TOKEN={}\ngit push", "ghp_" + mixed(36)),
    "gitlab": ("curl -H 'PRIVATE-TOKEN: {}' https://git.unrote.org/api/v4", "glpat-" + mixed(20)),
    "jwt": ("token: {}", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI5OTEyIn0." + mixed(43)),
    "openai": ("OPENAI_API_KEY={}", "sk-proj-" + mixed(156)),
    "google": ("GOOGLE={}", "AIzaSy" + mixed(33)),
    "hugging-face": ("HF_TOKEN={}", "hf_" + mixed(34, "aBcDeFgHiJkLmNoPqRsTuVwXyZ")),
    "fine-grained": ("t={}", "github_pat_" + mixed(22) + "_" + mixed(59)),
    "anthropic": ("k={}", "sk-ant-api03-" + mixed(93) + "AA"),
    "environment": ("DB_PASSWORD={}", "sparrow7sparrow7"),
    "redis": ("redis://:{}@cache:6379/0", "sparrow7sparrow7"),
    "connection": ("Server=tcp:db;User ID=app;Password={};", "QxB17zMirTwFgV"),
    "pem": (
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----",
        "MIIF" + mixed(44),
    ),
    "pem-in-json": (
        '{{"private_key":"-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n","x":1}}',
        "MIIE" + mixed(32),
    ),
}
PASSWORDS = {
    "proxy": "Set http_proxy=http://user:{}@proxy:8080 to bypass the passport check and compass.",
    "clone": "git clone https://bot:{}@git.unrote.org/x/xml-express.git  # the max index, in box",
    "ftp": "see ftp://jane:{}@ftp.unrote.org where the whole paragraph is on one line, here.",
}
SPELLED = {
    "mail": (
        "mara.finch@unrote.org",
        "{} is also mara.finch%40unrote.org, mara.finch&#64;unrote.org, MARA.FINCH@UNROTE.ORG, "
        "mara.finch\\u0040unrote.org, ｍａｒａ.finch＠unrote.org, mara.finch (at) unrote.org, "
        "mara.finch[at]unrote.org and https://unrote.org/?e=mara.finch@unrote.org now",
    ),
    "card": ("4539 5787 6362 1486", "Card {}, 4539\u00a05787\u00a06362\u00a01486, "
             "4539–5787–6362–1486, 4539-5787-6362-1486 and 4539578763621486 in the copy."),
    "iban": ("DE75512108001245126199", "{} or de75512108001245126199, DE75 5121 0800 1245 1261 99"),
}  # fmt: skip
UNTOUCHED = {
    "slices": "x = list(zip(a[::2], a[1::2]))\nMAX = 2147483647\nMASK = '255.255.0.0'\n",
    "table": "a,b,c\n0.333333333,1.204511,304958671\n0.693147181,-0.551230,876120045\n",
    "clone": "git clone git@github.com:unrote/nest.git\nLicensed under the Apache License v2\n",
    "numbers": " ".join(str(1588888888 + 3601 * n) for n in range(4_000)),
    "groups": " ".join(f"{n % 900 + 100}" for n in range(10_000)),
}
SCRIPTS = {
    "chinese": ("请联系wang@unrote.cn或致电13912345678索取", ["wang@unrote.cn", "13912345678"]),
    "japanese": ("メールtanaka@unrote.co.jpまで", ["tanaka@unrote.co.jp"]),
}
ESCAPES = {
    "json": ('{"c": "Contact:\\nmara.f@unrote.org\\nThanks"}', "mara.f@unrote.org"),
    "ssn": ('{"c": "SSN:\\n536-90-4399\\nThanks"}', "536-90-4399"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run over all cases: its folder, the texts that it released, and the seconds it took."""
    folder = tmp_path_factory.mktemp("cases")
    texts = {f"secret {name}": text.format(value) for name, (text, value) in SECRETS.items()}
    texts |= {f"password {name}": text.format("x") for name, text in PASSWORDS.items()}
    texts |= {f"spelled {name}": text.format(value) for name, (value, text) in SPELLED.items()}
    texts |= {f"untouched {name}": text for name, text in UNTOUCHED.items()}
    texts |= {f"script {name}": text for name, (text, _) in SCRIPTS.items()}
    texts |= {f"escape {name}": text for name, (text, _) in ESCAPES.items()}
    rows = [{"id": id_, "text": text} for id_, text in texts.items()]
    write_jsonl(folder / "in" / "cases.jsonl", rows)
    began = time.process_time()
    done = unrote("scrub", folder / "in", "-o", folder / "out")
    assert done.status == 0, done.err
    lines = (folder / "out" / "data" / "cases.jsonl").read_text("utf-8").splitlines()
    released = {row["id"]: row["text"] for row in map(json.loads, lines)}
    assert list(released) == list(texts)
    return folder / "out", released, time.process_time() - began


def test_every_promise_holds(run):
    out, _, _ = run
    assert verify(str(out)).ok


@pytest.mark.parametrize("name", SECRETS)
def test_the_whole_secret_goes(run, name):
    _, released, _ = run
    text, value = SECRETS[name]
    new = released[f"secret {name}"]
    tail = value[-12:]
    assert tail not in new
    before, _, behind = text.format("\x00").partition("\x00")
    if not name.startswith("pem"):
        assert (new.startswith(before), new.endswith(behind)) == (True, True)
    if name == "pem-in-json":
        assert json.loads(new)["x"] == 1


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_goes_from_its_url_and_nothing_else(run, name):
    """A password of one letter, which is in half of the words of its line."""
    _, released, _ = run
    pattern = re.escape(PASSWORDS[name]).replace(r"\{\}", r"(\S+?)")
    found = re.fullmatch(pattern, released[f"password {name}"])
    assert found, released[f"password {name}"]


@pytest.mark.parametrize("name", SPELLED)
def test_a_value_goes_in_every_spelling(run, name):
    _, released, _ = run
    new = released[f"spelled {name}"].casefold()
    for part in ("finch", "ｍａｒａ", "unrote.org", "5787", "1486", "5121"):
        assert part not in new.replace("https://unrote.org/?e=", "")


@pytest.mark.parametrize("name", UNTOUCHED)
def test_code_and_numbers_stay(run, name):
    _, released, seconds = run
    assert released[f"untouched {name}"] == UNTOUCHED[name]
    assert seconds < 60
    if name == "slices":
        ast.parse(released[f"untouched {name}"])


@pytest.mark.parametrize("name", SCRIPTS)
def test_values_beside_other_scripts(run, name):
    _, released, _ = run
    text, values = SCRIPTS[name]
    new = released[f"script {name}"]
    for value in values:
        assert value not in new
    kept = re.sub(r"[\x00-\x7f]+", "", text)
    assert re.sub(r"[\x00-\x7f]+", "", new) == kept


@pytest.mark.parametrize("name", ESCAPES)
def test_json_in_a_text_still_parses(run, name):
    _, released, _ = run
    text, value = ESCAPES[name]
    new = json.loads(released[f"escape {name}"])["c"]
    assert value not in new
    assert new.count("\n") == json.loads(text)["c"].count("\n") == 2


HALVED = {
    "phone": ("please ring the secretary under 415 203 4478 or come by.", "please ring the "
              "secretary under 415 203 9921 on Monday.", ("4478", "9921")),
    "mail": ("write to mara.finch@unrote.org today.", "write to mara.finch@unrote.com soon.",
             ("finch", "unrote.org", "unrote.com")),
    "card": ("card number 4539 5787 6362 1486 thanks.", "card number 4539 5787 6362 1098 bye.",
             ("1486",)),
}  # fmt: skip


@pytest.mark.parametrize("name", HALVED)
def test_what_a_cut_halves_goes_whole(tmp_path, name):
    """Two documents share a passage that ends within a value: its other half does not stay."""
    shared = (
        "The quarterly meeting of the regional orchard keepers took place in the old town hall, "
        "and many questions about late frost were asked and answered there. For details "
    )
    first, second, parts = HALVED[name]
    fruits = "plum mulberry pear medlar hazel grape walnut quince apple currant fig cherry".split()
    lead = [" ".join((fruits * 3)[at::5]) for at in (0, 1)]
    rows = [
        {"id": name + str(at), "text": f"{lead[at]}. {shared}{end} {lead[1 - at][::-1]}"}
        for at, end in enumerate((first, second))
    ]
    write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    off = ("--set", "memorization.enabled=false")
    done = unrote("clean", tmp_path / "in", "-o", tmp_path / "out", *off)
    assert done.status == 0, done.err
    text = (tmp_path / "out" / "data" / "a.jsonl").read_text("utf-8")
    assert not any(part in text for part in parts)
    assert verify(str(tmp_path / "out")).ok
