"""Surrogates of Bitcoin addresses: another hash, with its checksum right.

base58check is of the Bitcoin wiki, bech32 of BIP 173, bech32m of BIP 350. Anything else that is
called a wallet is a pattern.
"""

import hashlib

from unrote.pii.keys import Key
from unrote.pii.surrogates.family import Family
from unrote.pii.surrogates.keyed_subset import Subset, check_bits

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32, _BECH32M = 1, 0x2BC830A3
_PAYLOAD = 20


def base58_payload(value: str) -> bytes | None:
    """Version and hash of a base58check address; None if it is not a valid one."""
    number = 0
    for char in value:
        digit = _BASE58.find(char)
        if digit < 0:
            return None
        number = number * 58 + digit
    zeros = len(value) - len(value.lstrip("1"))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, check = raw[:-4], raw[-4:]
    if len(payload) != _PAYLOAD + 1 or _sha256d(payload) != check:
        return None
    return payload


def base58(payload: bytes) -> str:
    """The base58check address of a version and hash."""
    raw = payload + _sha256d(payload)
    number = int.from_bytes(raw, "big")
    chars = ""
    while number:
        number, digit = divmod(number, 58)
        chars = _BASE58[digit] + chars
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + chars


def _sha256d(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]


def segwit_program(value: str) -> tuple[str, int, bytes] | None:
    """Prefix, witness version and program of a segwit address; None if it is not a valid one."""
    if value not in (value.lower(), value.upper()):
        return None
    prefix, one, data = value.lower().rpartition("1")
    if not one or not prefix or len(data) < 14 or any(char not in _BASE32 for char in data):
        return None
    digits = [_BASE32.index(char) for char in data]
    constant = _BECH32 if digits[0] == 0 else _BECH32M
    if _polymod(_expanded(prefix) + digits) != constant:
        return None
    number = 0
    for digit in digits[1:-6]:
        number = number << 5 | digit
    bits = 5 * len(digits[1:-6])
    if bits % 8 > 4 or number & ((1 << bits % 8) - 1):
        return None
    return prefix, digits[0], (number >> bits % 8).to_bytes(bits // 8, "big")


def segwit(prefix: str, version: int, program: bytes) -> str:
    """The segwit address of a witness program."""
    padding = -8 * len(program) % 5
    number = int.from_bytes(program, "big") << padding
    count = (8 * len(program) + padding) // 5
    digits = [version, *(number >> 5 * at & 31 for at in reversed(range(count)))]
    constant = _BECH32 if version == 0 else _BECH32M
    check = _polymod(_expanded(prefix) + digits + [0] * 6) ^ constant
    digits += [check >> 5 * at & 31 for at in reversed(range(6))]
    return prefix + "1" + "".join(_BASE32[digit] for digit in digits)


def _expanded(prefix: str) -> list[int]:
    return [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]


def _polymod(digits: list[int]) -> int:
    check = 1
    for digit in digits:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ digit
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> bit & 1 else 0
    return check


def _subset(key: Key, length: int) -> Subset:
    # The first 20 bytes carry the check; a longer program goes on from a hash of them.
    size = 1 << 8 * min(length, _PAYLOAD)
    return Subset(key, "crypto", size, check_bits(size, reserved=False))


def _drawn(key: Key, length: int, seed: str, attempt: int) -> bytes:
    first = _subset(key, length).drawn(seed, attempt).to_bytes(min(length, _PAYLOAD), "big")
    return (first + key.mac("wallet", seed, attempt))[:length]


def _recognizes_bytes(key: Key, payload: bytes) -> bool:
    first = payload[:_PAYLOAD]
    return _subset(key, len(first)).contains(int.from_bytes(first, "big"))


def _draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    if payload := base58_payload(value):
        return base58(payload[:1] + _drawn(key, _PAYLOAD, seed, attempt))
    if parts := segwit_program(value):
        prefix, version, program = parts
        out = segwit(prefix, version, _drawn(key, len(program), seed, attempt))
        return out.upper() if value.isupper() else out
    return None


def _recognizes(key: Key, value: str) -> bool:
    if payload := base58_payload(value):
        return _recognizes_bytes(key, payload[1:])
    if parts := segwit_program(value):
        return _recognizes_bytes(key, parts[2])
    return False


def _is_wallet(value: str) -> bool:
    return base58_payload(value) is not None or segwit_program(value) is not None


CRYPTO = Family("crypto", _draw, _recognizes, _is_wallet, str)
