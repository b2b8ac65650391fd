"""Aligns a given transcript with the sound: which words belong where, and whether they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_forced_alignment import Aligner, WordSpan, mismatch
from avt_memocmt.preprocessing.transcripts import Cue

MISMATCH = "transcript_mismatch"


def place_transcript(
    utterances: Sequence[Utterance], cues: Sequence[Cue], aligner: Aligner
) -> list[Utterance]:
    """Give the words of a transcript without times to the utterances they were said in.

    With one utterance it gets all of them. With several, the words are aligned to their joined
    sound, and each goes to the utterance its middle falls into.

    Args:
        utterances: all utterances of a media file, in order.
        cues: of the transcript; their times, if any, are ignored.
        aligner: finds the time of each word.
    """
    text = " ".join(cue.text for cue in cues)
    spoken = [i for i, u in enumerate(utterances) if u.is_speech and u.samples is not None]
    out = list(utterances)
    if len(spoken) < 2:
        target = spoken[0] if spoken else 0
        if out:
            out[target] = replace(out[target], text=text)
        return out
    try:
        parts = _divide(text, [out[i] for i in spoken], aligner)
    except AvtError:  # more words than fit into the sound: where they belong is unknown
        warnings = (*out[spoken[0]].warnings, MISMATCH)
        out[spoken[0]] = replace(out[spoken[0]], text=text, warnings=warnings)
        return out
    for index, words in zip(spoken, parts, strict=True):
        out[index] = replace(out[index], text=words)
    return out


def word_spans(
    aligner: Aligner | None, utterance: Utterance
) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
    """When each word of an utterance is said, by forced alignment.

    Returns:
        Seconds [words, 2] from the start of the utterance, or None without an aligner or sound; and
        the warning "transcript_mismatch", with None, where the words do not fit the sound.
    """
    if aligner is None or utterance.samples is None:
        return None, ()
    try:
        words = aligner.align(utterance.samples, utterance.text)
    except AvtError:  # more words than fit into the sound
        return None, (MISMATCH,)
    if mismatch(words):
        return None, (MISMATCH,)
    spans = np.array([(word.start, word.end) for word in words], np.float32)
    return spans.reshape(-1, 2), ()


def _divide(text: str, utterances: Sequence[Utterance], aligner: Aligner) -> list[str]:
    """The part of the text that was said in each utterance."""
    sounds = [u.samples for u in utterances if u.samples is not None]
    ends = np.cumsum([len(sound) for sound in sounds]) / SAMPLE_RATE
    words = aligner.align(np.concatenate(sounds), text)
    middles = [(word.start + word.end) / 2 for word in words]
    owners = np.minimum(np.searchsorted(ends, middles), len(sounds) - 1)
    cuts = _word_starts(text, words)
    parts = []
    for index in range(len(sounds)):
        mine = np.flatnonzero(owners == index)
        if not len(mine):
            parts.append("")
            continue
        first, after = cuts[mine[0]], mine[-1] + 1
        parts.append(text[first : cuts[after] if after < len(cuts) else None].strip())
    return parts


def _word_starts(text: str, words: Sequence[WordSpan]) -> list[int]:
    """Index in the text at which each aligned word begins, so that punctuation stays with it."""
    starts, position = [], 0
    for word in words:
        found = text.find(word.word, position)
        starts.append(found if found >= 0 else position)
        position = starts[-1] + len(word.word)
    return starts
