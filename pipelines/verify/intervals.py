"""Intervals for what a sample says of the whole. Counts come in clusters, of any size."""

from collections.abc import Sequence

LEVEL = 0.95


def total_interval(clusters: Sequence[int], below: float, above: float) -> tuple[float, float]:
    """The interval of a total of which clusters were seen, each with all of its counts or not.

    below, above: how many counts of the whole one that was seen stands for, at least and at most.

    Clusters are taken to be Poisson, and their sum to be gamma distributed (Fay and Feuer 1997,
    Statistics in Medicine 16, 791-801, of weighted sums). With clusters of one this is the exact
    interval of a Poisson count (Garwood 1936); where none was seen it ends at 3.69 times `above`.
    """
    from scipy.special import gammaincinv  # noqa: PLC0415 - slow to import, comes with datasketch

    tail = (1 - LEVEL) / 2
    total, variance = sum(clusters), sum(size * size for size in clusters)
    widest = max(clusters, default=1)
    low = gammaincinv(total * total / variance, tail) * variance / total if total else 0.0
    with_one, wider = total + widest, variance + widest * widest
    high = gammaincinv(with_one * with_one / wider, 1 - tail) * wider / with_one
    return float(low) * below, float(high) * above


def share_interval(clusters: Sequence[int], others: int) -> tuple[float, float]:
    """The interval of the share that counts in clusters have in all counts.

    Clopper and Pearson (1934), with as many counts as independent ones would say as much: those
    seen divided by the design effect of the clusters (Korn and Graubard 1998, Survey Methodology
    24, 193-201). (0, 1) where there are no counts.
    """
    from scipy.special import betaincinv  # noqa: PLC0415

    tail = (1 - LEVEL) / 2
    some = sum(clusters)
    effect = sum(size * size for size in clusters) / some if some else 1.0
    hits, misses = some / effect, others / effect
    low = float(betaincinv(hits, misses + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - tail)) if misses else 1.0
    return low, high
