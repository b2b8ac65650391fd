"""Where the corpora of sound that are trained on lie, for the novelty of other recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.models.novelty import Novelty
from avt_memocmt.training.fusion_data import SpeechPart

COMPONENTS = 768
"""Principal components of the statistics in which directions are looked for."""


def known_sound(layers: LayerStatistics, speech: SpeechPart, rows: Sequence[int]) -> Novelty:
    """The novelty of sound against some clips and their augmented variants.

    What noise, rooms and codecs change within a corpus is no novelty.

    Args:
        layers: standardises the statistics.
        speech: the clips of the part that is trained on.
        rows: those that are known.

    Returns:
        Nothing is novel to it where only one corpus is known, which cannot be told from others.
    """
    clips = layers.standardised(speech.statistics[:, rows].flatten(0, 1)).numpy()
    novelty = Novelty(clips.shape[1])
    corpora = np.array([speech.clips[row].corpus for row in rows] * len(speech.variants))
    names = np.unique(corpora)
    if len(names) == 1:
        return novelty
    count = min(COMPONENTS, *clips.shape)
    components = PCA(count, svd_solver="covariance_eigh").fit(clips)
    apart = LinearDiscriminantAnalysis().fit(components.transform(clips), corpora)
    found = components.components_.T @ apart.scalings_
    directions = np.zeros(novelty.directions.shape)
    directions[:, : found.shape[1]] = found
    means = np.stack([(clips[corpora == name] @ directions).mean(axis=0) for name in names])
    places = np.resize(means, novelty.places.shape)
    novelty.set_known(torch.from_numpy(directions), torch.from_numpy(places))
    return novelty
