"""The network of the default model, a Llama (Touvron 2302.13971) in plain torch.

It computes what transformers' LlamaForCausalLM computes, and is there because importing that takes
longer than a small corpus takes to score. It has what `memorization.model` uses of such a network.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import torch
from torch import nn
from torch.nn import functional


class Llama(nn.Module):
    """A decoder with plain rotary embeddings and without biases. config: its config.json."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.base_model = _Decoder(config)

    @property
    def device(self) -> torch.device:
        return self.base_model.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.base_model.embed_tokens.weight.dtype

    def get_output_embeddings(self) -> nn.Module:
        return self.base_model.head

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> Any:  # noqa: ARG002
        """`logits` float[b, t, vocabulary] of input_ids int64[b, t]. Nothing is cached."""
        return SimpleNamespace(logits=self.base_model.head(self.base_model(input_ids)[0]))

    def generate(self, input_ids: torch.Tensor, max_new_tokens: int, **_: Any) -> torch.Tensor:
        """input_ids int64[b, t] with their greedy continuations: int64[b, t + max_new_tokens]."""
        for _step in range(max_new_tokens):
            last = self.base_model(input_ids)[0][:, -1]
            best = self.base_model.head(last).argmax(-1, keepdim=True)
            input_ids = torch.cat([input_ids, best], dim=1)
        return input_ids


class _Decoder(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, size = config["hidden_size"], config["vocab_size"]
        self.embed_tokens = nn.Embedding(size, width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = _Norm(config)
        self.head = nn.Linear(width, size, bias=False)
        if config["tie_word_embeddings"]:
            self.head.weight = self.embed_tokens.weight
        self.theta, self.head_width = config["rope_parameters"]["rope_theta"], config["head_dim"]

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> tuple[torch.Tensor]:  # noqa: ARG002
        hidden = self.embed_tokens(input_ids)
        rotation = self._rotation(input_ids.shape[1], hidden)
        for layer in self.layers:
            hidden = layer(hidden, *rotation)
        return (self.norm(hidden),)

    def _rotation(self, length: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of the rotary embedding (Su 2104.09864): float[length, head width]."""
        share = torch.arange(0, self.head_width, 2, device=like.device).float() / self.head_width
        inverse = 1.0 / self.theta**share
        angle = torch.arange(length, device=like.device).float()[:, None] * inverse
        both = torch.cat([angle, angle], dim=-1)
        return both.cos().to(like.dtype), both.sin().to(like.dtype)


class _Layer(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.input_layernorm = _Norm(config)
        self.self_attn = _Attention(config)
        self.post_attention_layernorm = _Norm(config)
        self.mlp = _Gated(config)

    def forward(
        self, hidden: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor
    ) -> torch.Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), cosines, sines)
        added: torch.Tensor = self.mlp(self.post_attention_layernorm(hidden))
        return hidden + added


class _Attention(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, self.head_width = config["hidden_size"], config["head_dim"]
        heads, of_keys = config["num_attention_heads"], config["num_key_value_heads"]
        self.q_proj, self.k_proj, self.v_proj = (
            nn.Linear(width, count * self.head_width, bias=False)
            for count in (heads, of_keys, of_keys)
        )
        self.o_proj = nn.Linear(heads * self.head_width, width, bias=False)
        self.shared = heads // of_keys

    def forward(
        self, hidden: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor
    ) -> torch.Tensor:
        shape = (*hidden.shape[:2], -1, self.head_width)
        queries, keys, values = (
            project(hidden).view(shape).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        queries, keys = (one * cosines + _turned(one) * sines for one in (queries, keys))
        if self.shared > 1:
            keys, values = (one.repeat_interleave(self.shared, dim=1) for one in (keys, values))
        mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class _Gated(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gated = functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden)
        return self.down_proj(gated)  # type: ignore[no-any-return]


class _Norm(nn.Module):
    """Root mean square normalisation (Zhang 1910.07467), computed in float32."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config["hidden_size"]))
        self.least = config["rms_norm_eps"]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        wide = hidden.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.least)
        return self.weight * wide.to(hidden.dtype)


def _turned(heads: torch.Tensor) -> torch.Tensor:
    """The second half of the last axis, negated, before the first."""
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def load_llama(folder: Path, dtype: torch.dtype) -> tuple[Llama, dict[str, Any]]:
    """The network in `folder`, and its config.json. Raises RuntimeError for weights that do not
    fit it, OSError and SafetensorError for files that cannot be read.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 (of the extra `score`)

    config: dict[str, Any] = orjson.loads((folder / "config.json").read_bytes())
    network = Llama(config)
    stored = load_file(folder / "model.safetensors")
    weights = {name.removeprefix("model."): one for name, one in stored.items()}
    head = weights.pop("lm_head.weight", weights["embed_tokens.weight"])
    network.base_model.load_state_dict(weights | {"head.weight": head})
    return network.to(dtype), config
