"""Fits the out-of-distribution score of sound to the training clips."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avt_memocmt.models.confidence import Novelty
from avt_memocmt.recipe.settings import NoveltyConfig
from avt_memocmt.recipe.sources import MOST_OTHERS, random_counts
from avt_memocmt.recipe.unimodal import SpeechBranch, SpeechRows


@torch.no_grad()
def fit_novelty(branch: SpeechBranch, train: SpeechRows, settings: NoveltyConfig) -> Novelty:
    """Fit the novelty of sound against some clips.

    Directions are found with augmented variants of the clips too, so that noise, rooms and codecs
    do not count as another corpus, and with baselines of the speakers from many clips and from
    none. The centroids are those of the clips as they were recorded: the clips themselves, or as
    many means of them as there are centroids (k-means).

    Args:
        branch: standardises the statistics.
        train: the clips against which novelty is measured.
        settings: how many components.
    """
    generator = np.random.default_rng(0)
    count = min(settings.variants, len(train.speech.variants))
    clips = np.concatenate(
        [
            train.standard(
                branch, random_counts(len(train.rows), MOST_OTHERS, generator), generator, variant
            ).numpy()
            for variant in range(count)
        ]
    )
    corpora = [train.speech.clips[row].corpus for row in train.rows] * count
    components = PCA(
        min(settings.components, *clips.shape), svd_solver="randomized", random_state=0
    ).fit(clips)
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
    centroids = clips[: len(train.rows)] @ directions
    if len(centroids) > Novelty.CENTROIDS:
        means = KMeans(Novelty.CENTROIDS, n_init=1, random_state=0).fit(centroids)
        centroids = means.cluster_centers_
    centroids = np.resize(centroids, novelty.centroids.shape)
    novelty.set_fitted(torch.from_numpy(directions), torch.from_numpy(centroids))
    return novelty
