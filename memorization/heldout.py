"""Which documents the default reference model has never seen: a part of every source it learnt
from.

An experiment that measures the default model, or measures with it, takes its texts from there.
"""

import hashlib

HELD_OUT_SHARE = 0.1
_PERSON = b"unrote-held-out"


def is_held_out(text: str) -> bool:
    """Whether a document with this text is kept from the default model and from its tokenizer.

    True for `HELD_OUT_SHARE` of all documents, decided by a hash of the text alone, before anything
    is trained. The text is the source's whole document, as it was before deduplication; runs of
    white space count as one space, so that another way to unpack a document doesn't change sides.
    """
    data = " ".join(text.split()).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8, person=_PERSON).digest()
    return int.from_bytes(digest, "big") < HELD_OUT_SHARE * 2**64
