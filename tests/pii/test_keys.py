import hmac
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus.errors import ConfigError
from unrote.pii.keys import KEY_VARIABLE, Key, fresh_key, load_key, packed

SECRET = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def key_file(folder, content=SECRET, mode=0o600):
    path = folder / "unrote.key"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_key_does_not_show_its_secret():
    key = Key(SECRET.encode())
    for shown in (repr(key), str(key), f"{key}", key.fingerprint()):
        assert SECRET[:16] not in shown
    assert key.fingerprint() in repr(key)
    assert not hasattr(key, "__dict__")
    assert SECRET.encode() not in pickle.dumps(key)
    with pytest.raises(AttributeError, match="cannot be changed"):
        key._secret = b""


def test_a_key_travels_to_workers():
    key = Key(SECRET.encode())
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        there = pickle.loads(pickle.dumps(key, protocol))
        assert there == key
        assert hash(there) == hash(key)
        assert there.mac("a", "b") == key.mac("a", "b")


def test_parts_and_purposes_are_told_apart():
    key = Key(SECRET.encode())
    macs = [
        key.mac("a", "bc"), key.mac("ab", "c"), key.mac("a", "b", "c"), key.mac("abc"),
        key.mac("a", "bc", ""), key.mac("", "a", "bc"), key.mac("a", "\udc80"),
    ]  # fmt: skip
    assert len(set(macs)) == len(macs)
    assert key.mac("a", 1) == key.mac("a", "1")
    assert all(0 <= key.number(7, "n", at) < 7 for at in range(50))
    assert {key.number(7, "n", at) for at in range(100)} == set(range(7))


@pytest.mark.parametrize("part", ["", "a", "a value of more than one block of 64 bytes " * 3])
def test_a_mac_is_hmac_sha_256(part):
    secret = hmac.digest(SECRET.encode(), b"unrote key 1", "sha256")
    expected = hmac.digest(secret, packed("purpose", part), "sha256")
    assert Key(SECRET.encode()).mac("purpose", part) == expected


def test_fingerprints_of_values():
    key, other = Key(SECRET.encode()), fresh_key()
    one = key.value_fingerprint("jane@acme.com", "EMAIL_ADDRESS")
    assert len(one) == 32
    assert int(one, 16) >= 0
    assert one == key.value_fingerprint("jane@acme.com", "EMAIL_ADDRESS")
    assert one != key.value_fingerprint("jane@acme.com", "URL")
    assert one != other.value_fingerprint("jane@acme.com", "EMAIL_ADDRESS")


def test_no_key_is_no_key():
    assert load_key() is None
    assert load_key("") is None


def test_a_key_of_a_file_or_the_environment(tmp_path, monkeypatch):
    key = load_key(str(key_file(tmp_path, SECRET + "\n")))
    assert key == Key(SECRET.encode())
    monkeypatch.setenv(KEY_VARIABLE, f"  {SECRET[::-1]}\n")
    assert load_key(str(tmp_path / "unrote.key")) == Key(SECRET[::-1].encode())
    monkeypatch.setenv(KEY_VARIABLE, " ")
    assert load_key() is None


@pytest.mark.parametrize(
    ("secret", "message"),
    [("abc", "holds 3 characters"), ("", "holds 0 characters"), ("a" * 40, "1 distinct")],
)
def test_poor_secrets_are_refused_and_not_shown(tmp_path, monkeypatch, secret, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_key(str(key_file(tmp_path, secret)))
    assert not secret or secret not in str(caught.value).replace("characters", "")
    if secret:
        monkeypatch.setenv(KEY_VARIABLE, secret)
        with pytest.raises(ConfigError, match=f"{KEY_VARIABLE} holds"):
            load_key()


def test_an_unreadable_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read \\(No such file"):
        load_key(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_key(str(tmp_path))


def test_a_file_that_others_can_read_is_warned_about(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        load_key(str(key_file(tmp_path)))
        assert not caplog.records
        load_key(str(key_file(tmp_path, mode=0o644)))
    assert "mode 644" in caplog.text
    assert SECRET not in caplog.text


def test_fresh_keys_differ():
    assert fresh_key() != fresh_key()
    assert fresh_key() != "a key"


@examples(100)
@given(st.integers(1, 2**160), st.text(max_size=9), st.integers(0, 2**90))
def test_a_head_that_is_known_changes_no_number(bound, name, part):
    key = Key(SECRET.encode())
    assert key.number_behind(bound, packed("a", name, 7), part) == key.number(
        bound, "a", name, 7, part
    )
