"""Fits the out-of-distribution score of sound to the training clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avt_memocmt.models.confidence import Novelty
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.recipe.settings import NoveltyConfig
from avt_memocmt.recipe.sources import Speech


def fit_novelty(
    layers: LayerStatistics, speech: Speech, rows: Sequence[int], settings: NoveltyConfig
) -> Novelty:
    """Fit the novelty of sound against some clips.

    Directions are found with the augmented variants of the clips, so that noise, rooms and codecs
    do not count as another corpus. The centroids are those of the clips as they were recorded: the
    clips themselves, or as many means of them as there are centroids (k-means).

    Args:
        layers: standardises the statistics.
        speech: the clips of the part that is trained on.
        rows: positions of the clips against which novelty is measured.
        settings: how many components.
    """
    clips = layers.standardised(speech.statistics[:, rows].flatten(0, 1)).numpy()
    corpora = [speech.clips[row].corpus for row in rows] * len(speech.variants)
    count = min(settings.components, *clips.shape)
    # Both are exact; take the faster.
    solver = "covariance_eigh" if len(clips) > clips.shape[1] else "full"
    components = PCA(count, svd_solver=solver).fit(clips)
    deviations = np.sqrt(components.explained_variance_[: settings.principal])
    # Copies of a clip leave components in which nothing differs.
    differ = deviations > 1e-3 * deviations[0]
    found = [components.components_[: settings.principal][differ].T / deviations[differ]]
    if len(set(corpora)) > 1:
        apart = LinearDiscriminantAnalysis().fit(components.transform(clips), corpora)
        found.append(components.components_.T @ apart.scalings_)
    novelty = Novelty(clips.shape[1])
    directions = np.zeros(novelty.directions.shape)
    chosen = np.concatenate(found, axis=1)
    directions[:, : chosen.shape[1]] = chosen
    centroids = clips[: len(rows)] @ directions
    if len(centroids) > Novelty.CENTROIDS:
        means = KMeans(Novelty.CENTROIDS, n_init=1, random_state=0).fit(centroids)
        centroids = means.cluster_centers_
    centroids = np.resize(centroids, novelty.centroids.shape)
    novelty.set_fitted(torch.from_numpy(directions), torch.from_numpy(centroids))
    return novelty
