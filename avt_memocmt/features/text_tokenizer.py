"""Splits words into the word pieces of a vocabulary, and tells which words it lacks."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

_SCRIPT_PIECES = 1000
"""Word pieces that a vocabulary has of a script it knows. English BERT has 488 of Chinese and at
most 100 of any other but Latin, nearly all of them single letters; multilingual ones thousands."""


class TextTokenizer:
    """Splits words into word pieces.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        special: ids of the pieces that begin, end, pad, hide and stand for what is unknown: [CLS],
            [SEP], [PAD], [MASK] and [UNK].
    """

    def __init__(self, tokenizer: Any, special: Sequence[int | None]) -> None:
        self._tokenizer = tokenizer
        # Some files ask for padding and truncation, as for embeddings of whole sentences.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        begin, end, self.pad_token_id, self.mask_token_id, self.unk_token_id = special
        self.cls_token_id, self.sep_token_id = int(begin or 0), int(end or 0)

    def pieces(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """Ids of the word pieces of some words, and the index of each one's word."""
        found = self._tokenizer.encode(list(words), is_pretokenized=True, add_special_tokens=False)
        return list(found.ids), [word for word in found.word_ids if word is not None]

    def unknown_share(self, words: Sequence[str], pieces: tuple[list[int], list[int]]) -> float:
        """Share of words that the vocabulary lacks; 0 where there is no word.

        Such a word has an unknown piece, or letters of a script of which the vocabulary has hardly
        more than the letters. Numbers and punctuation do not count.

        Args:
            words: some words.
            pieces: those of the words, from `pieces`.
        """
        ids, owners = pieces
        unknown = self.unk_token_id
        lacking = {owner for piece, owner in zip(ids, owners, strict=True) if piece == unknown}
        foreign = {i for i, word in enumerate(words) if self._is_foreign(word)}
        counted = {i for i, word in enumerate(words) if any(map(str.isalpha, word))} | lacking
        return len(lacking | foreign) / len(counted) if counted else 0.0

    def _is_foreign(self, word: str) -> bool:
        if word.isascii():
            return False
        scripts = [_script(letter) for letter in word if letter.isalpha()]
        return any(script not in self._scripts for script in scripts)

    @cached_property
    def _scripts(self) -> frozenset[str]:
        """Scripts of which the vocabulary has words."""
        count = Counter[str]()
        for piece in self._tokenizer.get_vocab():
            count.update({_script(letter) for letter in piece if letter.isalpha()})
        return frozenset({"LATIN", *(s for s, pieces in count.items() if pieces >= _SCRIPT_PIECES)})

    def ids(self, text: str) -> list[int]:
        """Ids of the word pieces of a text, without special ones."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _script(letter: str) -> str:
    """The first word of a letter's Unicode name, such as "LATIN" or "CYRILLIC"."""
    return unicodedata.name(letter, "?").partition(" ")[0]
