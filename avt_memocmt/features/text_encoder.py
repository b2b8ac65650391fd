"""Text encoders: from the words of a dialogue to one token per word piece of an utterance.

The encoder reads ``[CLS] past turns [SEP] utterance [SEP]``; only the word pieces of the utterance
itself become tokens, so that fusion and explanations speak of the words that were said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.config import TextConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_tokenizer import TextTokenizer
from avt_memocmt.preprocessing.text_preprocess import clean_text, split_words
from avt_memocmt.preprocessing.text_signs import written_out

WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
POOLER = "pooler."
"""Prefix of BERT's head for pairs of sentences, which some checkpoints hold and nothing uses."""

BATCH = 32
"""Utterances encoded at once."""

EncodedPieces = tuple[NDArray[np.float32], list[int], tuple[str, ...]]
"""Float32 [pieces, dim], the word (index into `split_words`) of each piece, and warnings."""

UNKNOWN_WORDS, TEXT_CUT = "unknown_words", "text_cut"
"""Warnings: most words are unknown, so there is no text; the beginning of the text is left out."""

_MOST_UNKNOWN = 0.5
"""Share of unknown words above which a text counts as absent."""
_SPEAKER_TAGS = {True: "me:", False: "you:", None: "-"}


@dataclass(frozen=True)
class ContextTurn:
    """A past turn. `same_speaker`: said by the current speaker; None where that is not known."""

    text: str
    same_speaker: bool | None = None


class DialogueContext:
    """What has been said so far in one dialogue: the context of its next turn.

    Args:
        most: lines that are kept, the latest ones; None keeps all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._lines: deque[tuple[str | None, str]] = deque(maxlen=most)

    def add(self, speaker: str | None, text: str) -> None:
        """Append a turn; one without words leaves no trace."""
        if text:
            self._lines.append((speaker, text))

    def of_turn_by(self, speaker: str | None) -> tuple[ContextTurn, ...]:
        """The context of a next turn by this speaker, oldest line first."""
        return tuple(
            ContextTurn(text, None if None in (by, speaker) else by == speaker)
            for by, text in self._lines
        )


def contexts(turns: Iterable[tuple[str | None, str]]) -> list[tuple[ContextTurn, ...]]:
    """The context of every turn of a dialogue, given as (speaker, words) in order."""
    past, found = DialogueContext(), list[tuple[ContextTurn, ...]]()
    for speaker, text in turns:
        found.append(past.of_turn_by(speaker))
        past.add(speaker, text)
    return found


@dataclass(frozen=True)
class TextInput:
    """What was said in one utterance.

    Attributes:
        text: the words; empty means no text.
        context: earlier turns of the dialogue, oldest first.
        duration: seconds of the utterance, over which words without known times are spread.
        word_spans: seconds [words, 2] from forced alignment, one row per word of
            `split_words(clean_text(text))`.
    """

    text: str
    context: tuple[ContextTurn, ...] = ()
    duration: float = 0.0
    word_spans: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class TextBatch:
    """Tokenized inputs.

    Attributes:
        ids: int64 [batch, length], word-piece ids.
        types: int64 [batch, length], 0 = context, 1 = utterance (0 where there is no context).
        mask: bool [batch, length], True at real word pieces.
        starts: position of the utterance's first word piece, per row.
        words: per row, the word (index into `split_words`) of each of its word pieces.
        warnings: per row, how its text was read: `UNKNOWN_WORDS`, `TEXT_CUT` or none.
    """

    ids: Tensor
    types: Tensor
    mask: Tensor
    starts: list[int]
    words: list[list[int]]
    warnings: list[tuple[str, ...]]

    @property
    def counts(self) -> list[int]:
        """Word pieces of the utterance, per row."""
        return [len(row) for row in self.words]

    @property
    def lengths(self) -> Tensor:
        """Word pieces of each row, context and special ones included, int64 [batch]."""
        return self.mask.sum(dim=1)

    def rows(self, indices: Sequence[int]) -> TextBatch:
        """A batch of some of the rows, padded to the longest of them."""
        longest = int(self.lengths[indices].max())
        ids, types, mask = (part[indices, :longest] for part in (self.ids, self.types, self.mask))
        starts, words = [self.starts[i] for i in indices], [self.words[i] for i in indices]
        return TextBatch(ids, types, mask, starts, words, [self.warnings[i] for i in indices])


class TextEncoder(nn.Module):
    """A BERT-like model that yields the tokens of the utterance at hand.

    Attributes:
        dim: width of a token.
        layers: hidden states per token (1: the last).
        identity: where the weights came from.
    """

    layers = 1

    def __init__(
        self, model: Any, tokenizer: TextTokenizer, config: TextConfig, identity: dict[str, str]
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.config = config
        self.identity = identity
        self.dim = int(model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def freeze(self, layers: int) -> None:
        """Keep the embeddings and the lowest transformer layers as they are while training.

        Raises:
            AvtError: the encoder has fewer layers.
        """
        blocks = self.model.encoder.layer
        if layers > len(blocks):
            raise AvtError(
                f"training.frozen_layers is {layers}, but the text encoder has {len(blocks)} "
                "layers; give a smaller number."
            )
        for part in (self.model.embeddings, *blocks[:layers]):
            part.requires_grad_(False)

    def set_dropout(self, chance: float) -> None:
        """Use this dropout everywhere while training, attention weights included."""
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = chance

    def tuned_tensors(self) -> dict[str, Tensor]:
        """All weights but the word embeddings, which are never trained: what a checkpoint keeps."""
        weights = self.model.state_dict().items()
        return {k: v for k, v in weights if k != WORD_EMBEDDINGS and not k.startswith(POOLER)}

    def prepare(self, inputs: Sequence[TextInput]) -> TextBatch:
        """Tokenize; a context and an utterance that are too long lose their starts.

        Signs that stand for words are written out, and a text of which most words are unknown has
        no pieces.
        """
        rows = [self._row(item) for item in inputs]
        length = max((len(ids) for ids, *_ in rows), default=1)
        ids = torch.full((len(rows), length), self.tokenizer.pad_token_id or 0)
        types = torch.zeros_like(ids)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        starts, words, warnings = list[int](), list[list[int]](), list[tuple[str, ...]]()
        for i, (row, start, word_of_piece, said) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = True
            if start > 1:
                types[i, start : len(row)] = 1
            starts.append(start)
            words.append(word_of_piece)
            warnings.append(said)
        return TextBatch(ids, types, mask, starts, words, warnings)

    def embed(self, batch: TextBatch) -> Tensor:
        """Word embeddings [batch, length, embedding], where Integrated Gradients starts."""
        return self.model.get_input_embeddings()(batch.ids.to(self.device))

    def forward(self, batch: TextBatch, embeddings: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode the utterances' word pieces.

        Args:
            batch: from `prepare`.
            embeddings: word embeddings to use instead of looking up `batch.ids`.

        Returns:
            Tokens [batch, pieces, dim] and a bool mask [batch, pieces], True at real pieces.
        """
        device = self.device
        source = {"input_ids": batch.ids} if embeddings is None else {"inputs_embeds": embeddings}
        inputs = {**source, "attention_mask": batch.mask.long()}
        if getattr(self.model.config, "type_vocab_size", 0) >= 2:
            inputs["token_type_ids"] = batch.types
        hidden = self.model(**{k: v.to(device) for k, v in inputs.items()}).last_hidden_state
        offsets = torch.arange(max(batch.counts, default=0), device=device)
        starts, counts = (torch.tensor(n, device=device) for n in (batch.starts, batch.counts))
        index = (starts[:, None] + offsets).clamp(max=hidden.shape[1] - 1)
        tokens = hidden.gather(1, index[:, :, None].expand(-1, -1, hidden.shape[2]))
        return tokens, offsets < counts[:, None]

    @torch.no_grad()
    def encode(self, inputs: Sequence[TextInput]) -> list[Tokens]:
        """Tokens of each utterance, one per word piece; no text gives zero tokens."""
        self.eval()
        found = zip(inputs, self.encode_pieces(inputs), strict=True)
        return [Tokens(v, piece_spans(item, words), said) for item, (v, words, said) in found]

    def encode_pieces(self, inputs: Sequence[TextInput]) -> list[EncodedPieces]:
        """The word pieces of each utterance, encoded in batches of similar length."""
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].text))
        found: dict[int, EncodedPieces] = {}
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            batch = self.prepare([inputs[i] for i in part])
            values, _ = self(batch)
            for row, (i, words) in enumerate(zip(part, batch.words, strict=True)):
                kept = values[row, : len(words)].float().cpu().numpy()
                found[i] = kept, words, batch.warnings[row]
        return [found[i] for i in range(len(inputs))]

    def _row(self, item: TextInput) -> tuple[list[int], int, list[int], tuple[str, ...]]:
        """Ids, where the utterance starts, the word of each of its pieces, and warnings."""
        words = self._words(item.text)
        pieces, owners = found = self.tokenizer.pieces(words)
        most, warnings = self.config.max_tokens, tuple[str, ...]()
        if self.tokenizer.unknown_share(words, found) > _MOST_UNKNOWN:
            pieces, owners, warnings = [], [], (UNKNOWN_WORDS,)
        elif len(pieces) > most:
            pieces, owners, warnings = pieces[-most:], owners[-most:], (TEXT_CUT,)
        context = self._context(item.context)
        begin, end = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        prefix = [begin, *context, end] if context else [begin]
        return [*prefix, *pieces, end], len(prefix), owners, warnings

    def _words(self, text: str) -> list[str]:
        return encoded_words(text, self.config)

    def _knows(self, words: Sequence[str]) -> bool:
        return self.tokenizer.unknown_share(words, self.tokenizer.pieces(words)) <= _MOST_UNKNOWN

    def _context(self, turns: Sequence[ContextTurn]) -> list[int]:
        most, tokens = self.config.context_turns, self.config.context_tokens
        if not most or not tokens:
            return []
        lines = [(turn, self._words(turn.text)) for turn in turns if turn.text.strip()]
        said = [(turn, words) for turn, words in lines if self._knows(words)][-most:]
        text = " ".join(" ".join([_SPEAKER_TAGS[turn.same_speaker], *w]) for turn, w in said)
        return self.tokenizer.ids(text)[-tokens:] if said else []


def encoded_words(text: str, config: TextConfig) -> list[str]:
    """The words of `split_words(clean_text(text))`, their signs written out."""
    return [written_out(word) for word in split_words(clean_text(text, config.lowercase))]


def piece_spans(item: TextInput, words: Sequence[int]) -> NDArray[np.float32]:
    """Seconds [pieces, 2] of each word piece: its word's aligned time, else an even share.

    Without alignment the utterance's duration is divided by the number of pieces.
    """
    if item.word_spans is not None and len(words):
        return np.asarray(item.word_spans, np.float32)[list(words)]
    edges = np.linspace(0.0, item.duration, len(words) + 1, dtype=np.float32)
    return np.stack([edges[:-1], edges[1:]], axis=1)
