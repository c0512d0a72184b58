"""The measures as their papers define them: one text, one token, one sum at a time, in float64."""

import copy
import math
import zlib
from functools import cache

import torch


@cache
def _double(network):
    return copy.deepcopy(network).double()


def logits_of(model, ids: list[int], bos: bool) -> list[list[float] | None]:
    """For each token the float64 logits that predict it; None where nothing comes before it."""
    network = _double(model.network)
    whole = [model.bos, *ids] if bos else ids
    with torch.no_grad():
        rows = network(input_ids=torch.tensor([whole])).logits[0].tolist()
    return rows[: len(ids)] if bos else [None, *rows[: len(ids) - 1]]


def log_softmax(row: list[float]) -> list[float]:
    top = max(row)
    total = top + math.log(sum(math.exp(x - top) for x in row))
    return [x - total for x in row]


def loss(logs: list[float]) -> float:
    return -sum(logs) / len(logs)


def log_sampled(row: list[float], target: int, top_k: int, temperature: float) -> float:
    """The probability of a top-k sampler to draw the target."""
    hot = [x / temperature for x in row]
    least = sorted(hot, reverse=True)[:top_k][-1] if top_k else min(hot)
    if hot[target] < least:
        return -math.inf
    chosen = sorted(hot, reverse=True)[: top_k or len(hot)]
    return hot[target] - math.log(sum(math.exp(x) for x in chosen))


def hit(row: list[float], target: int) -> bool:
    return row.index(max(row)) == target


def extraction_strength(hits: list[bool]) -> float:
    for k in range(len(hits) + 1):
        if all(hits[k:]):
            return 1 - k / len(hits)
    raise AssertionError


def min_k(values: list[float], share: float) -> float:
    lowest = sorted(values)[: max(1, int(len(values) * share))]
    return sum(lowest) / len(lowest)


def standardized(row: list[float], target: int) -> float:
    logs = log_softmax(row)
    mean = sum(math.exp(x) * x for x in logs)
    variance = sum(math.exp(x) * (x - mean) ** 2 for x in logs)
    return (logs[target] - mean) / math.sqrt(variance)


def measures(model, ids, prefix, text, bos, top_k, temperature, share, queries, probability):
    """Every measure of the table for one sequence; `text` are the characters of scored tokens."""
    rows = logits_of(model, ids, bos)
    scored = [i for i, row in enumerate(rows) if row is not None]
    suffix = [i for i in scored if i >= prefix]
    logs = {i: log_softmax(rows[i])[ids[i]] for i in scored}
    hits = {i: hit(rows[i], ids[i]) for i in scored}
    z = [standardized(rows[i], ids[i]) for i in scored]
    log_pz = sum(log_sampled(rows[i], ids[i], top_k, temperature) for i in suffix)
    bits = -sum(logs.values()) / math.log(2)
    p = math.exp(log_pz)
    return {
        "loss": loss(list(logs.values())),
        "loss_prefix": loss([logs[i] for i in scored if i < prefix]),
        "loss_suffix": loss([logs[i] for i in suffix]),
        "perplexity": math.exp(loss(list(logs.values()))),
        "bits": bits,
        "zlib_ratio": bits / (8 * len(zlib.compress(text.encode()))),
        "min_k": min_k(list(logs.values()), share),
        "min_k_plus_plus": min_k(z, share),
        "extractable": all(hits[i] for i in suffix),
        "extraction_strength": extraction_strength([hits[i] for i in scored]),
        "pz_log": log_pz,
        "extracted_within": 1 - (1 - p) ** queries,
        "queries_log": math.inf
        if p == 0
        else math.log(max(1, math.log(1 - probability) / math.log1p(-p))),
    }


def greedy(model, ids: list[int], length: int, bos: bool) -> list[int]:
    """Token by token, the whole text anew each time."""
    whole = [model.bos, *ids] if bos else list(ids)
    with torch.no_grad():
        for _ in range(length):
            row = model.network(input_ids=torch.tensor([whole])).logits[0, -1].tolist()
            whole.append(row.index(max(row)))
    return whole[len(whole) - length :]


def edit_distance(left: list[int], right: list[int]) -> int:
    if not left or not right:
        return len(left) + len(right)
    if left[-1] == right[-1]:
        return edit_distance(left[:-1], right[:-1])
    return 1 + min(
        edit_distance(left[:-1], right),
        edit_distance(left, right[:-1]),
        edit_distance(left[:-1], right[:-1]),
    )
