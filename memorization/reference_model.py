"""The reference model of a run, as its manifest names it: what the scores depend on."""

from dataclasses import dataclass
from hashlib import blake2b

from unrote.memorization.config import Models


@dataclass(frozen=True)
class ReferenceModel:
    """What the manifest holds of it.

    device: "cpu", "cuda" or "mps"; digest: of the models' files; parameters: of the first;
    tokenizer: digest of the one that masks are made with; vocabulary: tokens of the first, 0 where
    that is not known.
    """

    device: str
    digest: str
    parameters: int = 0
    tokenizer: str = ""
    vocabulary: int = 0


def load_reference_model(models: Models, masks: str = "") -> ReferenceModel:
    """Loads and checks the models, so that a run fails before it starts.

    masks: name of the model with whose tokenizer masks are made, "" if none are.
    Raises ConfigError for a model or device that is not there or can't be used.
    """
    from unrote.corpus.pretrained import digest  # noqa: PLC0415 (loads torch)
    from unrote.memorization.scorer import scorer_of  # noqa: PLC0415
    from unrote.memorization.tokenizer import folder_of, tokenizer_of  # noqa: PLC0415 (of the extra `score`)

    scorer = scorer_of(models)
    tokenizer = tokenizer_of(masks).to_str() if masks else ""
    return ReferenceModel(
        scorer.model.device.type,
        " ".join(digest(folder_of(name)) for name in models.names),
        sum(one.numel() for one in scorer.model.network.parameters()),
        tokenizer and blake2b(tokenizer.encode(), digest_size=16).hexdigest(),
        scorer.model.vocabulary,
    )
