"""MiniLM-L6, a BERT of six layers, read from its packaged file.

Wang et al. 2020, "MiniLM", section 3; the layers are those of Devlin et al. 2019. `transformers`
has this network too, but importing it takes longer than all the rest of a program's start. The
weights have the names of its `BertModel`, which the tests compare this module with.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.pretrained import packaged_path

DIM, HEADS, LAYERS, FEED_FORWARD = 384, 12, 6, 1536
MAX_LENGTH = 512
VOCABULARY = 30_522
DROPOUT = 0.1
_NORM_EPS = 1e-12


class MiniLm(nn.Module):
    """The encoder, its weights still to be loaded; see `load_minilm`.

    Attributes:
        config: the two settings of a `transformers` model that a text encoder reads.
        embeddings: of words, positions and the two parts of the input.
        encoder: its `layer` holds the transformer layers, lowest first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=DIM, type_vocab_size=2)
        self.embeddings = _Embeddings()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer() for _ in range(LAYERS))})

    def get_input_embeddings(self) -> nn.Embedding:
        """The table of word embeddings."""
        return self.embeddings.word_embeddings

    def forward(
        self,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> SimpleNamespace:
        """The hidden states of the last layer.

        Args:
            attention_mask: [batch, length], 0 at padding.
            token_type_ids: int64 [batch, length], the part of the input: 0 or 1.
            input_ids: int64 [batch, length].
            inputs_embeds: float [batch, length, 384], word embeddings instead of the ids.

        Returns:
            An object whose `last_hidden_state` is [batch, length, 384].
        """
        if inputs_embeds is None:
            inputs_embeds = self.embeddings.word_embeddings(input_ids)
        hidden = self.embeddings(inputs_embeds, token_type_ids)
        keys = attention_mask[:, None, None, :].bool()
        for layer in self.encoder["layer"].children():
            hidden = layer(hidden, keys)
        return SimpleNamespace(last_hidden_state=hidden)


def load_minilm() -> MiniLm:
    """The packaged network, in evaluation mode.

    Raises:
        AvtError: the package is missing or altered.
    """
    tensors = load_file(packaged_path("minilm-l6"))
    with torch.device("meta"):
        model = MiniLm()
    # The file also has BERT's head for pairs of sentences and a constant table, used nowhere here.
    kept = {name: tensors[name] for name in model.state_dict()}
    model.load_state_dict(kept, assign=True)
    return model.eval()


class _Embeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = _table(VOCABULARY)
        self.position_embeddings = _table(MAX_LENGTH)
        self.token_type_embeddings = _table(2)
        self.LayerNorm = nn.LayerNorm(DIM, eps=_NORM_EPS)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, words: Tensor, types: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: words.shape[1]]
        summed = words + self.token_type_embeddings(types) + positions
        embedded: Tensor = self.dropout(self.LayerNorm(summed))
        return embedded


def _table(rows: int) -> nn.Embedding:
    """Embeddings without values yet: drawing them, without a device, loads all of torch.compile."""
    values = torch.empty(rows, DIM)
    return nn.Embedding.from_pretrained(values, freeze=False)  # type: ignore[no-untyped-call]


class _Layer(nn.Module):
    """Attention and feed-forward, each added to its input and then normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": _Attention(), "output": _Output(DIM)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(DIM, FEED_FORWARD)})
        self.output = _Output(FEED_FORWARD)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, keys), x)
        widened: Tensor = F.gelu(self.intermediate["dense"](x))
        result: Tensor = self.output(widened, x)
        return result


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(DIM, DIM) for _ in range(3))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (
            part(x).view(batch, length, HEADS, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        chance = self.dropout.p if self.training else 0.0
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=keys, dropout_p=chance)
        return heard.transpose(1, 2).reshape(batch, length, DIM)


class _Output(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, DIM)
        self.LayerNorm = nn.LayerNorm(DIM, eps=_NORM_EPS)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        result: Tensor = self.LayerNorm(self.dropout(self.dense(x)) + before)
        return result
