"""De-identification markers: the traces that earlier scrubbing left in a text.

The shapes are those of `docs/pii-markers.md`, to whose rows the modules refer; a module holds the
shapes of a kind. `pii.deid.shapes` says how a score is made of evidence, `pii.deid.detector` runs
them.
"""

from unrote.pii.deid.detector import DeidDetector, ScoredCandidate
from unrote.pii.findings import DEID_MARKER, RESERVED_VALUE, SHIFTED_DATE, SURROGATE_AGE

__all__ = [
    "DEID_MARKER",
    "RESERVED_VALUE",
    "SHIFTED_DATE",
    "SURROGATE_AGE",
    "DeidDetector",
    "ScoredCandidate",
]
