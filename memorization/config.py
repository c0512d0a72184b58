"""What is measured of a sequence, and by which models. Small: it travels to workers."""

from dataclasses import dataclass, field

from unrote.corpus.errors import ConfigError


@dataclass(frozen=True)
class Config:
    """How texts are cut into sequences, and which measures are taken of them.

    prefix, suffix  tokens of a sequence that are the prompt, and that are to be extracted
    stride        tokens from one sequence's start to the next one's; 0 is prefix + suffix, so that
                  every token is in one sequence (the last sequence of a text overlaps)
    bos           whether a sequence starts with the beginning-of-text token; None: as the model's
                  tokenizer does by itself, and the default model's card asks for. Without it the
                  first token has no probability
    top_k         how many tokens sampling chooses from in (n, p)-discoverability; 0: from all
    temperature   of that sampling
    queries       the n for which the probability to extract the suffix in n samples is given
    probability   the p for which the number of samples is given
    min_k         the share of tokens, of the least probable, that Min-K% and Min-K%++ average
    generate      whether the suffix is also generated freely (greedy): the Biderman score, edit
                  distance and BLEU. It costs one decoding step per token
    token_budget  tokens, padding included, in a batch; 0 chooses by device

    Raises ConfigError for a value that cannot be.
    """

    prefix: int = 50
    suffix: int = 50
    stride: int = 0
    bos: bool | None = None
    top_k: int = 40
    temperature: float = 1.0
    queries: int = 100
    probability: float = 0.5
    min_k: float = 0.2
    generate: bool = False
    token_budget: int = 0

    def __post_init__(self) -> None:
        least = {"prefix": 0, "suffix": 1, "stride": 0, "top_k": 0, "queries": 1, "token_budget": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ConfigError(
                    f"memorization.{name} = {getattr(self, name)}: give at least {lowest}."
                )
        if self.stride > self.length:
            raise ConfigError(
                f"memorization.stride = {self.stride} skips text: give at most prefix + suffix = "
                f"{self.length}, or 0 for that."
            )
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(
                f"memorization.temperature = {self.temperature}: give a number above 0."
            )
        if not 0 < self.probability < 1:
            raise ConfigError(
                f"memorization.probability = {self.probability}: give a number between 0 and 1."
            )
        if not 0 < self.min_k <= 1:
            raise ConfigError(
                f"memorization.min_k = {self.min_k}: give a share above 0, at most 1."
            )

    @property
    def length(self) -> int:
        """Tokens in a full sequence."""
        return self.prefix + self.suffix


@dataclass(frozen=True)
class Models:
    """Which models measure what, and where. model, comparison, device and precision as for
    memorization.model.load; comparison "" is none.
    """

    model: str = "default"
    comparison: str = ""
    device: str = "auto"
    precision: str = "auto"
    config: Config = field(default_factory=Config)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.model, self.comparison) if self.comparison else (self.model,)
