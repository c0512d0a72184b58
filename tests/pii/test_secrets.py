import re
import time
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("presidio_analyzer")

from benchmarks.secrets.__main__ import finder, kind_of, summed, table
from benchmarks.secrets.labelled import labelled
from tests.examples import examples
from tests.pii.detecting import findings_of
from unrote.corpus.errors import ConfigError
from unrote.pii import Config, scan
from unrote.pii.config import ACTIONS_BY_DEFAULT
from unrote.pii.detector import Detector
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import scrub_text
from unrote.pii.scrubbing.edits import edited_text
from unrote.pii.secret_checks import entropy, is_filler, is_opaque, names_secret
from unrote.pii.secret_rules import LIKELY, SURE, checked, kept_prefix, own_rules, user_rules
from unrote.pii.secret_templates import CLASSES, expanded, github_crc32
from unrote.pii.surrogates import is_surrogate, surrogate

# Values are put together here, so that no scanner of repositories takes them for real ones.
AWS = "AKIA" + "Z7XQ2M4LP9KD3VB1"
BODY = "MIIEowIBAAKCAQEAx9vZ1c2hKmPq\nb3J5dGhpbmdJc0Zha2VIZXJlMTIzNDU2\nabcd==\n"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----"
ONLY = Config(recognizers=("US_SSN",), markers=False, names=False)
SECRET_KEY = Key(b"k" * 32)
RULES = {rule.name: rule for rule in own_rules()}


def found(text, config=ONLY):
    return [
        (text[row["start"] : row["end"]], row["type"], row["origin"])
        for row in scan([text], config).to_pylist()
    ]


def scrub(text, config=None):
    scanner = scanner_of(config or Config())
    done = scrub_text(text, scanner, ACTIONS_BY_DEFAULT, SECRET_KEY, "document")
    assert not done.rejected
    return done.edits


def secret_in(rule, text):
    """The part of an example that its rule finds: one, and the rule alone decides which."""
    (span,) = rule.find(text)
    return text[span[0] : span[1]]


EXAMPLES = [
    (rule.name, expanded(template, Random(f"{template} {number}")))
    for rule in own_rules()
    for template in rule.examples
    for number in range(2)
]


def test_rules_do_to_their_examples_what_they_say():
    for rule in own_rules():
        assert checked(rule, "secrets.toml") is rule
        assert rule.source.startswith("https://")
    assert len(RULES) == len(own_rules())


def test_the_file_holds_no_secret():
    """Nor what another scanner would take for one: templates are none before they are expanded."""
    for rule in own_rules():
        for template in (*rule.examples, *rule.counterexamples):
            assert not [name for name, one in RULES.items() if any(one.find(template))], template


@pytest.mark.parametrize(
    "ground", ["{}", "é\n{} ü", "first {}\r\nnext", "\t{}\t", "x" * 3000 + "\n{}\n"]
)
def test_a_secret_is_found_whole_wherever_it_stands(ground):
    detector = Detector(ONLY)
    for name, example in EXAMPLES:
        text = ground.format(example)
        secret = secret_in(RULES[name], example)
        start = text.index(example) + example.index(secret)
        spans = [(f.start, f.end) for f in findings_of(detector, text)]
        covering = [s for s in spans if s[0] <= start and start + len(secret) <= s[1]]
        assert covering, (name, text)


def test_every_occurrence_counts():
    assert len(found(f"{AWS} {AWS}\n{AWS}")) == 3


def test_the_rule_of_the_issuer_names_the_finding():
    """And not the variable that holds the secret, which has less to say."""
    token = expanded("npm_{alnum:36}", Random(1))
    assert found(f"NPM_TOKEN={token}") == [(token, "SECRET", "npm-token")]
    assert found(f'api_key = "{token}"') == [(token, "SECRET", "npm-token")]


@pytest.mark.parametrize("before", ["\\n", "\\t", "%3D", "=", ":", "(", "/", '\\"'])
def test_a_token_begins_behind_escapes(before):
    token = expanded("glpat-{base64url:20}", Random(2))
    assert found(f"a{before}{token}") == [(token, "SECRET", "gitlab-token")]


@pytest.mark.parametrize("before", ["a", "_", "-", "7"])
def test_a_token_begins_where_a_word_does(before):
    token = expanded("AKIA{base32:16}", Random(3))
    assert not found(f"{before}{token}")


def test_a_checksum_that_holds_makes_sure():
    valid = expanded("ghp_{alnum:30}{github-crc32}", Random(4))
    other = valid[:-1] + ("a" if valid[-1] != "a" else "b")
    scores = [[f.score for f in findings_of(Detector(ONLY), text)] for text in (valid, other)]
    assert scores == [[SURE], [LIKELY]]
    assert github_crc32("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ") == "0mLq17"  # GitHub's own example


LABELLED = list(labelled(seed=7, each=6))


def test_precision_and_recall_of_the_labelled_set():
    tallies = table(LABELLED, finder(), kind_of)
    every = summed(tallies.values())
    assert every.precision >= 0.98
    assert every.recall >= 0.95
    for name, tally in tallies.items():
        assert tally.recall >= 0.95, (name, tally.errors)
        assert not tally.false or tally.precision >= 0.98, (name, tally.errors)


def test_surrogates_keep_what_says_whose_a_secret_is():
    for name, example in EXAMPLES:
        secret = secret_in(RULES[name], example)
        if name == "private-key" or len(secret) < 20:
            continue
        out = surrogate(secret, "SECRET", SECRET_KEY)
        prefix = kept_prefix(secret)
        assert out.startswith(prefix)
        assert is_surrogate(out, "SECRET", SECRET_KEY)
        assert not is_surrogate(secret, "SECRET", SECRET_KEY)
        assert [kind(c) for c in out] == [kind(c) for c in secret]
        body, drawn = secret[len(prefix) :], out[len(prefix) :]
        assert sum(a == b for a, b in zip(body, drawn, strict=True) if a.isalnum()) < len(body) / 2


def kind(char):
    if char.isdigit():
        return "0"
    return ("A" if char.isupper() else "a") if char.isalpha() else char


@pytest.mark.parametrize(
    ("secret", "prefix"),
    [
        ("ghp_{alnum:36}", "ghp_"),
        ("sk-ant-api03-{base64url:93}AA", "sk-ant-api03-"),
        ("sk-{alnum:48}", "sk-"),
        ("AKIA{base32:16}", "AKIA"),
        ("{alnum:40}", ""),
        ("sk-{alnum:9}", ""),
    ],
)
def test_the_longest_prefix_is_kept_and_none_of_a_password(secret, prefix):
    assert kept_prefix(expanded(secret, Random(5))) == prefix


def test_scrubbing_again_changes_nothing():
    scanner = scanner_of(ONLY)
    for _, example in EXAMPLES[::2]:
        written = edited_text(example, scrub(example, ONLY))
        again = scrub_text(written, scanner, ACTIONS_BY_DEFAULT, SECRET_KEY, "document")
        assert edited_text(written, again.edits) == written
        assert written != example


WORDS = "bypass passport pass the compass a expressed x example index user at".split()


@given(
    st.lists(st.sampled_from(WORDS), max_size=20),
    st.sampled_from([*WORDS, "p.w", "p-w_1", "~"]),
    st.lists(st.sampled_from(WORDS), max_size=20),
)
@examples(100)
def test_a_password_is_in_its_address_alone(before, password, after):
    before, after = " ".join(before), " ".join(after)
    text = f"{before} https://user:{password}@git.unrote.org/{password} {after}"
    start = len(before) + len(" https://user:")
    edits = scrub(text)
    assert [(edit.start, edit.end) for edit in edits] == [(start, start + len(password))]


def test_an_address_of_mail_beside_a_password_stays_one():
    text = "https://user:pass@git.unrote.org is not jane.roe@unrote.org"
    kinds = {"SECRET", "EMAIL_ADDRESS"}
    everything = found(text, Config(markers=False))
    assert [value for value, kind, _ in everything if kind in kinds] == [
        "pass",
        "jane.roe@unrote.org",
    ]


PIECES = [
    *(example for _, example in EXAMPLES[::3] if "\n" not in example),
    *(
        "pass",
        "a",
        "bypass",
        "://",
        "@",
        "npm_",
        "eyJ",
        "key=",
        "AKC",
        "\n",
        "\r\n",
        " ",
        "é",
        "漢",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join))
@examples(100)
def test_outside_findings_nothing_changes(text):
    scanner = scanner_of(ONLY)
    done = scrub_text(text, scanner, ACTIONS_BY_DEFAULT, SECRET_KEY, "document")
    first = scanner.find(text)
    spans = [(one.finding.start, one.finding.end) for one in done.applied]
    assert all((edit.start, edit.end) in spans for edit in done.edits)
    covered = set().union(*(range(start, end) for start, end in spans))
    assert covered >= set().union(*(range(one.start, one.end) for one in first))


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@examples(100)
def test_the_prefilter_passes_over_no_secret(text):
    """Rules find the same where they run on all of a text."""
    blocks = findings_of(DETECTOR, text)
    whole = findings_of(WITHOUT_PREFILTER, text)
    assert blocks == whole


DETECTOR = Detector(ONLY)
WITHOUT_PREFILTER = Detector(replace(ONLY, prefilter=False))


@pytest.mark.parametrize("ground", ["{}", "é\n{} ü", "key = '{}'\r\nnext", "x" * 3000 + "\n{}\n"])
@pytest.mark.parametrize(
    "key",
    [
        KEY,
        *(KEY.replace("RSA ", kind) for kind in ("", "DSA ", "EC ", "OPENSSH ", "ENCRYPTED ")),
        KEY.replace("RSA", "PGP").replace("KEY-", "KEY BLOCK-"),
        KEY.replace("\n", "\\n"),
        KEY.replace("\n", "\\r\\n"),
        KEY.replace("\n", " "),
        KEY.replace("\n", ""),
        KEY.replace("\n", "\n    "),
        KEY.replace("\n", "\r\n"),
        KEY.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\n", 1),
        KEY.replace("-----", "----")
        .replace("----BEGIN RSA PRIVATE KEY", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ")
        .replace("----END RSA PRIVATE KEY", "---- END SSH2 ENCRYPTED PRIVATE KEY "),
        f"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: x\nPublic-Lines: 3\n{BODY}"
        f"Private-Lines: 3\n{BODY}Private-MAC: 3f9a1c7e5b0d8264",
    ],
)
def test_a_private_key_is_found_in_every_spelling(ground, key):
    assert found(ground.format(key)) == [(key, "SECRET", "private-key")]


@pytest.mark.parametrize(
    ("key", "rest"),
    [
        (f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}".strip(), "\n\nplain words after\n"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}".strip(), "\nNote: words after\n"),
        (f"-----BEGIN RSA PRIVATE KEY-----\r\n{BODY[:29]}".strip(), "\r\nA word.\r\n"),
        (f"-----BEGIN PRIVATE KEY-----\\n{BODY[:28]}", '\\n" and words'),
        (f"PuTTY-User-Key-File-2: ssh-rsa\nComment: x\n{BODY}".strip(), "\nNote: words"),
    ],
)
def test_a_cut_off_private_key_ends_with_its_lines(key, rest):
    assert found(f"before\n{key}{rest}") == [(key, "SECRET", "private-key")]


@pytest.mark.parametrize(
    "text",
    [
        "Look for BEGIN RSA PRIVATE KEY in the file.\n\nThe last line is -----END PRIVATE KEY-----",
        "Keys say -----BEGIN RSA PRIVATE KEY----- and more in their first line.\n\nAnother line.",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "PuTTY-User-Key-File-2 is the name of a format.\n\nAnother line.",
    ],
)
def test_words_about_keys_are_left_alone(text):
    assert not found(text)


def test_two_keys_stay_two():
    assert [text for text, *_ in found(f"{KEY}\nwords\n{KEY}")] == [KEY, KEY]


def test_prose_holds_no_secrets():
    assert not found("The password is kept in a safe. token = none; see the key BEGINNING here.")


def test_off():
    assert not found(AWS, Config(recognizers=("US_SSN",), secrets=False))


@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ", "eyJeyJabc.", "token=", "password: ", "://a:", "://:a@b@c@", "curl -u a:", "SG."),
        *("-----BEGIN PRIVATE KEY-----", "PuTTY-User-Key-File-2:", "AccountKey=", ":_authToken="),
        *("-----BEGIN A PRIVATE KEY-----\\n", "KEYKEY_", "_KEY=", "aA", "a.", "sk-", "xoxb-1-"),
        *("Authorization: Bearer ", "aws_secret_key ", "machine a login a password ", "a_-."),
    ],
)
def test_time_is_linear_in_one_hostile_line(piece):
    """Seconds for a megabyte; a quadratic rule took a minute for less."""
    size = 200_000
    data = (piece * (size // len(piece) + 1))[:size].encode()
    began = time.process_time()
    assert isinstance(DETECTOR.find_bytes(data), list)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("letters", ["digit", "hex", "base64", "base64url"])
def test_time_is_linear_in_one_random_line(letters):
    data = "".join(Random(6).choices(CLASSES[letters], k=500_000)).encode()
    began = time.process_time()
    found = DETECTOR.find_bytes(data)
    assert [one for one in found if one.type == "SECRET"] == []
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("DB_PASSWORD", "password"),
        ("adminPwd", "password"),
        ("spring.datasource.password", "password"),
        ("apiKey", "token"),
        ("X-Api-Key", "token"),
        ("CLIENT_SECRET_PROD", "token"),
        ("_authToken", "token"),
        ("aws.secretKey2", "token"),
        ("password_hash", ""),
        ("token_url", ""),
        ("secret_name", ""),
        ("key", ""),
        ("primary_key", ""),
        ("public_key", ""),
        ("nextPageToken", ""),
        ("tokenizer", ""),
        ("compass", ""),
        ("", ""),
    ],
)
def test_names_of_variables(name, holds):
    assert names_secret(name) == holds


@pytest.mark.parametrize(
    "value", ["hunter2hunter2", "DwA07yMirSwfGv", "3f9a1c7e5b0d8264", "p4ss-w0rd!x", "k7#mQ.z2"]
)
def test_what_may_be_a_password(value):
    assert is_opaque(value)


@pytest.mark.parametrize(
    "value",
    [
        *("${PASSWORD1}", "$DB_PASSWORD1", "<password1>", "{{ secret1 }}", "your_password_1"),
        *("/run/secrets/db1", "https://a.b/c1", "self.password1", "accessToken2", "TOKEN_STRING_2"),
        *("12345678", "2024-01-01", "changeme1", "my-super-secret-password-123", "aaaaaaaa1"),
        *("projects/12345/secrets", "com.unrote.app.TOKEN_V2", "arn:aws:iam::1:a", "short1"),
    ],
)
def test_what_is_no_password(value):
    assert not is_opaque(value)


def test_filler():
    for value in (
        "x" * 36,
        "0123456789abcdef0123456789abcdef",
        "your-api-key-here",
        "sk-...",
        "EXAMPLEKEY",
    ):
        assert is_filler(value)
    random = Random(8)
    assert not any(is_filler(expanded("{base64url:40}", random)) for _ in range(2000))


def test_entropy_is_in_bits():
    assert entropy("") == 0
    assert entropy("aaaa") == 0
    assert entropy("abcd" * 5) == pytest.approx(2)


ACME = {"name": "acme", "pattern": "acme_[a-z0-9]{32}", "examples": ["acme_{lowernum:32}"]}


def test_users_rules_are_run_like_our_own():
    token = expanded("acme_{lowernum:32}", Random(9))
    config = Config(recognizers=("US_SSN",), markers=False, secret_rules=user_rules([ACME]))
    assert found(f"x {token} y", config) == [(token, "SECRET", "acme")]
    assert not found(f"x {token} y")
    grouped = ACME | {"pattern": "key of acme: (?P<secret>[0-9]{9})", "entropy": 0, "edges": False}
    grouped["examples"] = ["key of acme: {digit:9}"]
    config = Config(recognizers=("US_SSN",), markers=False, secret_rules=user_rules([grouped]))
    assert found("the key of acme: 402938475", config) == [("402938475", "SECRET", "acme")]


def test_a_users_rule_may_span_lines_and_name_letters_beyond_ascii():
    rule = ACME | {"pattern": r"clé:\n(?P<secret>[0-9a-f]{20})", "edges": False}
    rule["examples"] = ["clé:\n{hex:20}"]
    config = Config(recognizers=("US_SSN",), markers=False, secret_rules=user_rules([rule]))
    assert found("la clé:\n3f9a1c7e5b0d8264ab12 ?", config) == [
        ("3f9a1c7e5b0d8264ab12", "SECRET", "acme")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pattern": "acme_[a-z"}, "no regular expression"),
        ({"pattern": ""}, "no pattern"),
        ({"pattern": "x*"}, "matches nothing at all"),
        ({"pattern": 7}, "pattern = 7"),
        ({"pattern": r"acme\X"}, "of Python's module re"),
        ({"pattern": "[[a-z]&&[b]]cme"}, "of Python's module re"),
        ({"pattern": "acme{e<=1}"}, "begins no count"),
        ({"name": "Acme Keys"}, "a name has"),
        ({"name": "npm-token"}, "there already"),
        ({"examples": []}, "no examples"),
        ({"examples": "acme"}, "examples = 'acme'"),
        ({"examples": ["acme_{x:3}"]}, "names no class"),
        ({"examples": ["acme_{lowernum:31}"]}, "does not find a secret in its example"),
        ({"examples": ["acme_" + "x" * 32]}, "does not find a secret in its example"),
        ({"counterexamples": ["acme_{lowernum:40}"]}, "finds a secret in"),
        ({"check": "luhn"}, "no check is called 'luhn'"),
        ({"check": "assignment"}, "(?P<name>"),
        ({"checksum": "crc"}, "no checksum is called"),
        ({"regex": "a"}, "regex is no part of a rule"),
        ({"entropy": "high"}, "entropy = 'high'"),
    ],
)
def test_a_users_rule_that_is_wrong_is_refused(change, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        user_rules([ACME | change])


def test_a_pattern_that_the_prefilter_cannot_read_is_refused():
    pytest.importorskip("hyperscan")
    rule = ACME | {"pattern": r"(?a:x\w)y{3}", "examples": ["xxyyy"]}
    with pytest.raises(ConfigError, match="Hyperscan"):
        user_rules([rule | {"entropy": 0}])
