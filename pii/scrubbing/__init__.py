"""Scrubbing: replace what was found in a text. A text goes through these modules in this order.

==================  ============================================================================
`passes`            scan, select and act, again on what was written, until nothing new is found
`own_surrogates`    select: without what an earlier scrubbing with this key wrote
`pii.overlaps`      select: markers before personal data, then no overlaps
`actions`           act: by type keep, remove, mask, placeholder, hash, surrogate, reject-document
`whitespace`        act: no white space is left over around what is removed
`spellings`         the other spellings, in the same document, of what was replaced
`folding`           a text without what spellings differ in
`edits`             the replacements in the text, and the way back to its own offsets
`rows`, `texts`     the results: rows of tables for stages; strings for a list of strings
==================  ============================================================================
"""

from unrote.pii.scrubbing.edits import Edit, edited_text
from unrote.pii.scrubbing.passes import ScrubbedText, scrub_text
from unrote.pii.scrubbing.rows import ScrubRows
from unrote.pii.scrubbing.texts import ScrubbedTexts, scrub_texts

__all__ = [
    "Edit",
    "ScrubRows",
    "ScrubbedText",
    "ScrubbedTexts",
    "edited_text",
    "scrub_text",
    "scrub_texts",
]
