import re
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("detect_secrets")

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector

from tests.examples import examples
from unrote.pii import Config, scan
from unrote.pii.config import ACTIONS_BY_DEFAULT
from unrote.pii.keys import Key
from unrote.pii.scanner_cache import scanner_of
from unrote.pii.scrubbing import scrub_text
from unrote.pii.secrets import FORMS, detectors

# Values are put together here, so that no scanner of repositories takes them for real ones.
LETTERS = "Q7mZr2XkT9bVw4LhN8cYd3PfS6gJt5KaB"
HEX = "3f9a1c7e5b0d8264"
AWS = "AKIA" + "Z7XQ2M4LP9KD3VB1"
BODY = "MIIEowIBAAKCAQEAx9vZ1c2hKmPq\nb3J5dGhpbmdJc0Zha2VIZXJlMTIzNDU2\nabcd==\n"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----"
ONLY = Config(recognizers=("US_SSN",), markers=False)


def signs(count):
    return (LETTERS * (count // len(LETTERS) + 1))[:count]


def coded(text):
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


JWT = f'{coded("""{"alg":"HS256"}""")}.{coded("""{"sub":"4711","n":"Ines"}""")}'

# By detector: what stands around a secret, and the secret.
SECRETS = {
    "AWSKeyDetector": [
        *(("{}", AWS), ("id={},", "ASIA" + AWS[4:]), ("{}", "A3TX" + AWS[4:])),
        ('aws_secret_access_key = "{}"', signs(38) + "/+"),
        ("AWS: token '{}';", signs(40)),
    ],
    "ArtifactoryDetector": [
        *(
            ("password: {}", "AKC" + signs(20)),
            ('"{}"', "AKC" + signs(70)),
            ("p={} q", "AKC" + signs(10)),
        ),
        *((":{}", "AP3" + signs(30)), ('x="{}"', "APB" + signs(9))),
    ],
    "AzureStorageKeyDetector": [
        ("AccountName=a;AccountKey={};EndpointSuffix=b", signs(84) + "/+=="),
    ],
    "BasicAuthDetector": [
        *(("https://ines:{}@host.test/x", "hunter2"), ("ftp://a:{}@b", "e")),
        *(("amqp://a:{}@b,c", "p@ss"), ("https://a:{}@b.c:80/d?e=f@g.h", "x-y_z%40")),
    ],
    "CloudantDetector": [
        *(("cloudant_password = '{}'", HEX * 4), ("clou-apikey: {}", "qwertzuiopasdfghjklyxcvb")),
        ("https://ines:{}@ines.cloudant.com/db", HEX * 4),
        ("http://ines:{}@ines.cloudant.com", "qwertzuiopasdfghjklyxcvb"),
    ],
    "DiscordBotTokenDetector": [
        ("bot {}", "M" + signs(23) + ".Xy-_z9." + signs(27)),
        ("({})", "O" + signs(25) + ".Xy-_z9." + signs(38)),
    ],
    "GitHubTokenDetector": [
        *(("export T={}", f"gh{kind}_" + signs(36)) for kind in "pousr"),
        ("{}!", "ghs_" + signs(90)),
    ],
    "GitLabTokenDetector": [
        *(("-H 'T: {}'", f"{kind}-" + signs(20)) for kind in ("glpat", "gldt", "glft", "glsoat")),
        *(("{}", "glrt-" + signs(18) + "-x_"), ("{}.", "glpat-" + signs(30) + "-" + signs(40))),
        ("{} x", "glpat-" + signs(27) + ".01.0w1ab2cd3"),
        *(("{}", "GR1348941" + signs(20)), ("{}", "glcbt-" + signs(20))),
        *(("{}", "glcbt-3f_" + signs(20)), ("{}", "glimt-" + signs(25))),
        *(("{}", "glptt-" + signs(40)), ("{}", "glagent-" + signs(300))),
        ("{}", "gloas-" + signs(64)),
    ],
    "IbmCloudIamDetector": [
        *(("ibm_cloud_iam_api_key={}", signs(42) + "_-"), ('"iam-token": "{}"', signs(44))),
    ],
    "IbmCosHmacDetector": [
        *(("cos_hmac_secret_access_key={}", HEX * 3), ("secret-key: '{}'", HEX * 3)),
    ],
    "JwtTokenDetector": [
        *(("token: {}", f"{JWT}.{signs(43)}"), ("see {}. Then", f"{JWT}.{signs(40)}-_-")),
        *(("?t={}&u=1", f"{JWT}.{signs(342)}"), ("none: {}", JWT)),
    ],
    "MailchimpDetector": [("key {}", HEX * 2 + "-us12"), ("'{}'", HEX * 2 + "-us3")],
    "NpmDetector": [
        ("//registry.npmjs.org/:_authToken={} # as of now", "npm_" + signs(36)),
        ('"//npm.test/:_authToken= {}"', "3f9a1c7e-5b0d-8264-3f9a-1c7e5b0d8264"),
    ],
    "OpenAIDetector": [
        ("{}", "sk-" + signs(20) + "T3BlbkFJ" + signs(20)),
        ("k={};", "sk-proj-a_b-" + signs(74) + "T3BlbkFJ" + signs(60) + "-_A"),
    ],
    "PrivateKeyDetector": [
        *(("{}", KEY), ("{}", KEY.replace("RSA ", "")), ("{}", KEY.replace("RSA", "DSA"))),
        *(("{}", KEY.replace("RSA", "EC")), ("{}", KEY.replace("RSA", "OPENSSH"))),
        ("{}", KEY.replace("RSA", "PGP").replace("KEY-", "KEY BLOCK-")),
        ('k = "{}"', KEY.replace("\n", "\\n")),
        (
            "{}",
            KEY.replace("-----", "----")
            .replace("----BEGIN RSA PRIVATE KEY", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ")
            .replace("----END RSA PRIVATE KEY", "---- END SSH2 ENCRYPTED PRIVATE KEY "),
        ),
        (
            "{}",
            f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nComment: x\nPublic-Lines: 3\n{BODY}"
            f"Private-Lines: 3\n{BODY}Private-MAC: {HEX}",
        ),
    ],
    "PypiTokenDetector": [
        ("{}", "pypi-" + "AgEIcHlwaS5vcmc" + signs(90) + "-_"),
        ("password = {}", "pypi-" + "AgENdGVzdC5weXBpLm9yZw" + signs(75)),
    ],
    "SendGridDetector": [("{}", "SG." + signs(20) + "-_." + signs(43))],
    "SlackDetector": [
        *(("{}", "xoxb-" + "123456789012-123456789012-" + signs(24).lower()),),
        ("{} x", "XOXP-" + "1-" + signs(30)),
        ("<{}>", "https://hooks.slack.com/services/" + "T0A1B2C3D/B0A1B2C3D/" + signs(24)),
    ],
    "SoftlayerDetector": [
        *(("softlayer_api_key = {}", HEX * 4), ("'sl-token': '{}'", HEX * 4)),
        ("https://api.softlayer.com/soap/v3/{}", HEX * 4),
    ],
    "SquareOAuthDetector": [("{}", "sq0csp-" + signs(40) + "-_\\")],
    "StripeDetector": [
        ("{}", f"{kind}k_live_" + signs(size)) for kind, size in (("s", 24), ("r", 99))
    ],
    "TelegramBotTokenDetector": [("bot {}/", "123456789:" + signs(33) + "-_")],
    "TwilioKeyDetector": [("{}", "AC" + HEX * 2), ("sid={}&", "SK" + HEX * 2)],
}
EXAMPLES = [(origin, *example) for origin, group in SECRETS.items() for example in group]


def found(text, config=ONLY):
    return [
        (text[row["start"] : row["end"]], row["type"], row["origin"])
        for row in scan([text], config).to_pylist()
    ]


def values(origin, text):
    """What one detector finds."""
    (detector,) = (one for one in detectors() if one.origin == origin)
    everything = range(len(detector.expressions))
    spans = [detector.extend(text, span) for span in detector.find(text, everything)]
    return [text[span.start : span.end] for span in sorted(spans)]


def all_detectors():
    made = [one() for one in get_mapping_from_secret_type_to_class().values()]
    return {
        type(one).__name__: one
        for one in made
        if isinstance(one, RegexBasedDetector) and type(one).__name__ != "IPPublicDetector"
    }


def test_the_table_is_what_detect_secrets_has():
    """A new detector, or a new expression of one, wants a form and an example."""
    theirs = all_detectors()
    assert set(theirs) == set(FORMS) == set(SECRETS)
    assert [one.origin for one in detectors()] == sorted(theirs)
    for origin, detector in theirs.items():
        texts = [around.format(secret) for around, secret in SECRETS[origin]]
        for expression in detector.denylist:
            assert any(map(expression.search, texts)), expression.pattern


def test_detect_secrets_filters_tokens_and_nothing_else():
    """Another that filters what its expressions find has to be asked, as that one is."""
    overridden = [
        name
        for name, one in all_detectors().items()
        if type(one).analyze_string is not RegexBasedDetector.analyze_string
        or type(one).analyze_line is not RegexBasedDetector.analyze_line
    ]
    assert overridden == ["JwtTokenDetector"]


@pytest.mark.parametrize(
    "ground", ["{}", "é\n{} ü", "first {}\r\nnext", "\t{}\t", "x" * 3000 + "\n{}\n"]
)
@pytest.mark.parametrize(("origin", "around", "secret"), EXAMPLES)
def test_a_finding_is_the_whole_secret(ground, origin, around, secret):
    text = ground.format(around.format(secret))
    assert values(origin, text) == [secret]
    assert secret in [value for value, *_ in found(text)]


@pytest.mark.parametrize("beside", [" ", "\t", "\n", " and "])
@pytest.mark.parametrize(("origin", "around", "secret"), EXAMPLES)
def test_each_in_a_line_is_found(beside, origin, around, secret):
    if secret.startswith("PuTTY"):
        beside += "\n"
    other = SECRETS[origin][0]
    texts = [around.format(secret), other[0].format(other[1]), around.format(secret)]
    assert values(origin, beside.join(texts)) == [secret, other[1], secret]


LONGER = [
    example
    for example in EXAMPLES
    if example[2].startswith(
        ("AKIA", "AKC", "M", "gh", "glpat", "glagent", "npm_", "sk-", "pypi", "SG.", "xox", "sq0")
    )
    or example[0] in {"StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector"}
    or example[2].startswith(f"{JWT}.")
    or example[2].endswith("-us3")
    or example[1].startswith(("cloudant_", "softlayer_"))
]


@pytest.mark.parametrize(("origin", "around", "secret"), LONGER)
def test_a_longer_secret_is_found_whole(origin, around, secret):
    """Than the expression knows."""
    assert values(origin, around.format(secret + "Zz9")) == [secret + "Zz9"]


@pytest.mark.parametrize("origin", ["IbmCloudIamDetector", "IbmCosHmacDetector"])
def test_what_is_longer_than_it_may_be_is_no_secret(origin):
    for around, secret in SECRETS[origin]:
        assert not values(origin, around.format(secret + "a"))


def test_a_token_that_is_none_by_its_content_is_none():
    assert not values("JwtTokenDetector", f"eyJhbGciOiJub25lIn0x.{signs(20)}.{signs(43)}")


def test_a_placeholder_is_no_token():
    assert not values("NpmDetector", "//registry.npmjs.org/:_authToken=npm_${TOKEN} and npm_words")


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


def scrub(text):
    done = scrub_text(text, scanner_of(Config()), ACTIONS_BY_DEFAULT, Key(b"k" * 32), "document")
    assert not done.rejected
    return done.edits


FRAGMENTS = [
    *(
        piece
        for around, _ in (pair for group in SECRETS.values() for pair in group)
        for piece in around.split("{}")
    ),
    *(secret for group in SECRETS.values() for _, secret in group if "\n" not in secret),
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


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
@examples(300)
def test_findings_are_where_an_expression_matched(text):
    """And in the lines in which detect-secrets finds something, and in no others."""
    theirs = all_detectors()
    for detector in detectors():
        for line in text.split("\n"):
            spans = detector.find(line, range(len(detector.expressions)))
            said = [*theirs[detector.origin].analyze_string(line)]  # "" too: an empty group
            if detector.origin == "NpmDetector":  # takes a placeholder for a token
                said = [one for one in said if re.match(r"npm_[\w-]|[A-Fa-f0-9-]{36}", one, re.A)]
            assert bool(spans) == bool(said)
            matches = [
                match.span()
                for expression in theirs[detector.origin].denylist
                for match in _matches(expression, line)
            ]
            for start, end, _ in spans:
                ends_a_word = re.match(r"\W|\Z", line[end:], re.A)
                assert any(
                    low <= start < high and (end <= high or ends_a_word) for low, high in matches
                )


def _matches(expression, line):
    """The matches from every index."""
    matches = (expression.match(line, start) for start in range(len(line)))
    return [match for match in matches if match is not None]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8).map(" ".join))
@examples(100)
def test_outside_findings_nothing_changes(text):
    scanner = scanner_of(ONLY)
    done = scrub_text(text, scanner, ACTIONS_BY_DEFAULT, Key(b"k" * 32), "document")
    first = scanner.find(text)
    spans = [(one.finding.start, one.finding.end) for one in done.applied]
    assert all((edit.start, edit.end) in spans for edit in done.edits)
    covered = set().union(*(range(start, end) for start, end in spans))
    assert covered == set().union(*(range(one.start, one.end) for one in first))


@pytest.mark.parametrize("ground", ["{}", "é\n{} ü", "key = '{}'\r\nnext", "x" * 3000 + "\n{}\n"])
@pytest.mark.parametrize(
    ("secret", "origin"), [(AWS, "AWSKeyDetector"), (KEY, "PrivateKeyDetector")]
)
def test_a_secret_is_found_at_its_place(ground, secret, origin):
    assert found(ground.format(secret)) == [(secret, "SECRET", origin)]


def test_every_occurrence_counts():
    assert len(found(f"{AWS} {AWS}\n{AWS}")) == 3


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
    assert found(f"before\n{key}{rest}") == [(key, "SECRET", "PrivateKeyDetector")]


@pytest.mark.parametrize(
    "text",
    [
        "Look for BEGIN RSA PRIVATE KEY in the file.\n\nThe last line is -----END PRIVATE KEY-----",
        "Keys say -----BEGIN RSA PRIVATE KEY----- and more in their first line.\n\nAnother line.",
        "PuTTY-User-Key-File-2 is the name of a format.\n\nAnother line.",
    ],
)
def test_words_about_keys_are_left_alone(text):
    ((value, *_),) = found(text)
    assert value.strip("- ") in {"BEGIN RSA PRIVATE KEY", "PuTTY-User-Key-File-2"}


def test_two_keys_stay_two():
    assert [text for text, *_ in found(f"{KEY}\nwords\n{KEY}")] == [KEY, KEY]


def test_prose_holds_no_secrets():
    assert not found("The password is kept in a safe. token = none; see the key BEGINNING here.")


def test_off():
    assert not found(AWS, Config(recognizers=("US_SSN",), secrets=False))
