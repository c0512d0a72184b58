"""Templates of secrets: `sk-ant-api03-{base64url:93}AA` stands for every text of that form.

Examples are written as templates, and never as what they stand for, so that no scanner of
repositories takes them for secrets that somebody lost.

`{CLASS:N}` is N random characters of a class, `{CLASS:N-M}` at least N and at most M;
`{github-crc32}` is the checksum of the letters and digits before it. All else stands for itself,
and so does a brace that begins none of these.
"""

import re
import string
import zlib
from collections.abc import Mapping
from random import Random

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

CLASSES: Mapping[str, str] = {
    "digit": string.digits,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "letter": string.ascii_letters,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "lowernum": string.ascii_lowercase + string.digits,
    "uppernum": string.ascii_uppercase + string.digits,
    "alnum": BASE62,
    "base32": string.ascii_uppercase + "234567",
    "base64": BASE62 + "+/",
    "base64url": BASE62 + "-_",
    "password": BASE62 + "!#%*+-_.",
}
"""The characters of each class, by its name."""

_FIELD = re.compile(r"\{([A-Za-z0-9]+):(\d+)(?:-(\d+))?\}|\{(github-crc32)\}")


def github_crc32(body: str) -> str:
    """The last six characters of a GitHub token whose other letters and digits are `body`: CRC-32
    in base 62 (github.blog, Behind GitHub's new authentication token formats).
    """
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return digits


def expanded(template: str, random: Random) -> str:
    """A text that a template stands for. Raises ValueError for a class that there is not."""
    out, at = "", 0
    for field in _FIELD.finditer(template):
        out += template[at : field.start()]
        at = field.end()
        if field[4]:
            body = re.search(r"[A-Za-z0-9]*\Z", out)
            out += github_crc32(body.group() if body else "")
            continue
        if field[1] not in CLASSES:
            raise ValueError(
                f"{{{field[1]}:{field[2]}}} names no class of characters: {', '.join(CLASSES)}"
            )
        size = random.randint(int(field[2]), int(field[3] or field[2]))
        out += "".join(random.choices(CLASSES[field[1]], k=size))
    return out + template[at:]
