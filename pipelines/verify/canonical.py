"""Texts as they were compared, by Python's own tables: nothing of corpus.normalization is used."""

import html
import re
import unicodedata
from typing import Literal, cast

from unrote.pipelines.verify.records import Rules

REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt)."""


def canonical(text: str, rules: Rules) -> str:
    """The text in the form of which the settings say that texts are compared in it."""
    if rules.unescape_html:
        text = REFERENCE.sub(lambda match: html.unescape(match[0]), text)
    if rules.drop_ignorable:
        text = _IGNORABLE.sub("", text)
    if rules.normalization == "none":
        return text
    return unicodedata.normalize(cast(Literal["NFC", "NFKC"], rules.normalization.upper()), text)
