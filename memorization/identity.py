"""Which language models a run asks, and where: what its scores depend on."""

from dataclasses import dataclass
from hashlib import blake2b

from memorization.config import Config


@dataclass(frozen=True)
class Identity:
    """device: "cpu", "cuda" or "mps"; digest: of the models' files; parameters: of the first;
    tokenizer: digest of the one that masks are made with.
    """

    device: str
    digest: str
    parameters: int = 0
    tokenizer: str = ""


def identify(
    model: str, reference: str, device: str, precision: str, config: Config, masks: str = ""
) -> Identity:
    """The identity of models that were loaded and tried, so that a run fails before it starts.

    masks: name of the model with whose tokenizer masks are made, "" if none are.
    Raises ConfigError for a model or device that is not there or can't be used.
    """
    from memorization.model import digest, folder_of, tokenizer_of  # noqa: PLC0415 (loads torch)
    from memorization.scorer import scorer_of  # noqa: PLC0415

    scorer = scorer_of(model, reference, device, precision, config)
    names = [model, reference] if reference else [model]
    tokenizer = tokenizer_of(masks).to_str() if masks else ""
    return Identity(
        scorer.model.device.type,
        " ".join(digest(folder_of(name)) for name in names),
        sum(one.numel() for one in scorer.model.network.parameters()),
        tokenizer and blake2b(tokenizer.encode(), digest_size=16).hexdigest(),
    )
