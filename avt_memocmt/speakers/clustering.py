"""Groups the voices of a recording into speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.speakers.voices import Voice

FARTHEST = 0.68
"""Mean distance of two groups of voices above which they are two speakers."""
NEAR, CLEAR = 0.55, 0.125
"""They are also two above the first of these, if by the second one nothing joins closely below."""
STRONG = 1.0
"""Seconds of speech above which a voice takes part in finding the groups."""
SMALL = 0.05
"""Share of the speech; a speaker with less is found by linkage alone, since k-means would rather
part somebody who speaks much."""
LEAST_SPEECH = 1.5
"""Seconds; a group with less speech is no speaker of its own."""
OTHER, SAME, CONTINUED = 0.3, -0.1, -0.4
"""Added to the distance of two voices: those that one window takes for two speakers, those that it
takes for one, and those of which the one goes on where the other ends."""
_TOUCHING = 0.03
"""Seconds between two voices at most, of which one continues the other."""
MARGIN = 0.1
"""Least lead of the likest speaker's similarity over the next one's, for a voice to be certain."""
CERTAIN = 0.8
"""Seconds of speech below which a voice is not certain."""
MOST_AT_ONCE = 2000
"""Voices that are compared all with all; of more, neighbours in time are joined first."""


@dataclass(frozen=True)
class Clusters:
    """The speaker of each voice.

    Attributes:
        labels: int [voices], from 0 in the order of the voices.
        certain: bool [voices]; False where the voice is too short or between two speakers.
    """

    labels: NDArray[np.int64]
    certain: NDArray[np.bool_]


def unit(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """The same directions, of length 1: [..., d]."""
    wide = embeddings.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)


def grouped(
    distances: NDArray[np.float64], count: int | None, farthest: float = FARTHEST
) -> NDArray[np.int64]:
    """Group what is near to one another by average linkage: labels [n].

    Args:
        distances: [n, n], symmetric, zero on the diagonal.
        count: number of groups, fewer where there is less to group; None goes by `farthest`.
        farthest: mean distance above which two groups stay apart.
    """
    from sklearn.cluster import AgglomerativeClustering

    if len(distances) < 2:
        return np.zeros(len(distances), np.int64)
    method = AgglomerativeClustering(
        n_clusters=None if count is None else min(count, len(distances)),
        distance_threshold=farthest if count is None else None,
        metric="precomputed",
        linkage="average",
    )
    return method.fit_predict(distances)


def cluster(voices: Sequence[Voice], count: int | None, least: int, most: int) -> Clusters:
    """Find the speakers of a recording.

    Args:
        voices: in the order of time.
        count: number of speakers; None finds it out. Fewer are found where too little is heard.
        least: number of speakers at least, where it is found out.
        most: number of speakers at most, where it is found out.
    """
    heard = [i for i, voice in enumerate(voices) if voice.embedding is not None]
    if not heard:
        return Clusters(np.zeros(len(voices), np.int64), np.zeros(len(voices), bool))
    strong = [i for i in heard if voices[i].seconds >= STRONG] or heard
    groups = _groups([voices[i] for i in strong], count, least, most)
    centroids = np.stack([_mean([voices[strong[j]] for j in group]) for group in groups])
    similar = unit(_embeddings([voices[i] for i in heard])) @ centroids.T
    labels = np.full(len(voices), -1)
    labels[heard] = similar.argmax(axis=1)
    for number, group in enumerate(groups):
        labels[[strong[j] for j in group]] = number
    certain = np.zeros(len(voices), bool)
    certain[heard] = _is_certain([voices[i] for i in heard], similar, labels[heard])
    return Clusters(_in_order(_filled(labels, voices)), certain)


def _groups(
    voices: Sequence[Voice], count: int | None, least: int, most: int
) -> list[NDArray[np.int64]]:
    """The voices of each speaker, as indices; those of groups that are too small are left out."""
    if count is None:
        joined = _joined_neighbours(voices)
        seconds = np.array([sum(voices[i].seconds for i in part) for part in joined])
        distances = _distances(voices, joined)
        found = _large(grouped(distances, None, _border(distances, seconds)), seconds)
        if least <= len(found) <= most:
            speech = [seconds[group].sum() for group in found]
            if min(speech) < SMALL * sum(speech):
                return [np.concatenate([joined[j] for j in group]) for group in found]
        count = min(max(len(found), least), most)
    return _partition(voices, count)


def _border(distances: NDArray[np.float64], seconds: NDArray[np.float64]) -> float:
    """The distance above which groups stay apart: `FARTHEST`, or less where a gap is clear."""
    from sklearn.cluster import AgglomerativeClustering

    if len(distances) < 2:
        return FARTHEST
    tree = AgglomerativeClustering(
        n_clusters=1, metric="precomputed", linkage="average", compute_distances=True
    ).fit(distances)
    speech, joins = seconds.tolist(), [0.0]
    for (one, other), distance in zip(tree.children_, tree.distances_, strict=True):
        if min(speech[one], speech[other]) >= LEAST_SPEECH:
            joins.append(float(distance))
        speech.append(speech[one] + speech[other])
    for lower, upper in pairwise(sorted(joins)):
        if NEAR < upper <= FARTHEST and upper - lower >= CLEAR:
            return (lower + upper) / 2
    return FARTHEST


def _partition(voices: Sequence[Voice], count: int) -> list[NDArray[np.int64]]:
    """As many groups as given. Average linkage would rather cut off odd voices than part two."""
    from sklearn.cluster import KMeans

    directions = unit(_embeddings(voices))
    method = KMeans(min(count, len(voices)), n_init=20, random_state=0)
    labels = method.fit_predict(directions, sample_weight=[voice.seconds for voice in voices])
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _large(labels: NDArray[np.int64], seconds: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Groups with enough speech, or the largest one."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    large = [group for group in groups if seconds[group].sum() >= LEAST_SPEECH]
    return large or [max(groups, key=lambda group: seconds[group].sum())]


def _joined_neighbours(voices: Sequence[Voice]) -> list[NDArray[np.int64]]:
    """The voices in at most `MOST_AT_ONCE` parts, each as indices of voices."""
    if len(voices) <= MOST_AT_ONCE:
        return [np.array([i]) for i in range(len(voices))]
    parts: list[NDArray[np.int64]] = []
    blocks = -(-len(voices) // MOST_AT_ONCE)
    for block in np.array_split(np.arange(len(voices)), blocks):
        near = _distances([voices[i] for i in block], [np.array([i]) for i in range(len(block))])
        labels = grouped(near, MOST_AT_ONCE // blocks)
        parts += [block[labels == label] for label in np.unique(labels)]
    return parts


def _distances(voices: Sequence[Voice], joined: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Distances of the parts, [n, n]: of single voices also by what their windows say."""
    means = np.stack([_mean([voices[i] for i in part]) for part in joined])
    distances = 1.0 - means @ means.T
    if len(joined) == len(voices):
        distances += _by_windows(voices)
    np.fill_diagonal(distances, 0.0)
    return np.maximum(distances, 0.0)


def _by_windows(voices: Sequence[Voice]) -> NDArray[np.float64]:
    """What is added to the distances of voices, [n, n]."""
    windows = np.array([voice.window for voice in voices])
    local = np.array([voice.local for voice in voices])
    starts = np.array([voice.spans[0][0] for voice in voices])
    ends = np.array([voice.spans[-1][1] for voice in voices])
    together = windows[:, None] == windows
    added = np.where(local[:, None] == local, SAME, OTHER) * together
    touching = np.abs(ends[:, None] - starts) < _TOUCHING
    following = windows[:, None] + 1 == windows
    continued = touching & following
    return added + CONTINUED * (continued | continued.T)


def _embeddings(voices: Sequence[Voice]) -> NDArray[np.float32]:
    """Of voices that have one, [voices, d]."""
    return np.stack([voice.embedding for voice in voices if voice.embedding is not None])


def _mean(voices: Sequence[Voice]) -> NDArray[np.float64]:
    """The direction of some voices, each as important as it is long: [d]."""
    directions = unit(_embeddings(voices))
    return unit(np.array([voice.seconds for voice in voices]) @ directions)


def _is_certain(
    voices: Sequence[Voice], similar: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each voice is long enough and clearly nearest to its speaker; [voices]."""
    seconds = np.array([voice.seconds for voice in voices])
    own = similar[np.arange(len(labels)), labels]
    others = similar.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    return (seconds >= CERTAIN) & (own - others.max(axis=1) >= MARGIN)


def _filled(labels: NDArray[np.int64], voices: Sequence[Voice]) -> NDArray[np.int64]:
    """Give what is too short for an embedding the speaker who is heard nearest in time."""
    known = np.flatnonzero(labels >= 0)
    times = np.array([voice.spans[0][0] for voice in voices])
    for i in np.flatnonzero(labels < 0):
        labels[i] = labels[known[np.abs(times[known] - times[i]).argmin()]]
    return labels


def _in_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups, numbered in the order in which they first occur."""
    order = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], np.int64)
