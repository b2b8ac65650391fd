"""Where the training clips of sound lie, for the novelty of others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.models.novelty import Novelty
from avt_memocmt.training.fusion_data import SpeechPart


@torch.no_grad()
def known_sound(layers: LayerStatistics, speech: SpeechPart, rows: Iterable[int]) -> Novelty:
    """The novelty of sound against some clips, as they are recorded.

    Args:
        layers: standardises their statistics.
        speech: the clips of the part that is trained on.
        rows: those that are known.
    """
    found = []
    for row in rows:
        values = torch.from_numpy(speech.variants[0].tokens(row).values)[None]
        found.append(layers.standard(values, torch.ones(values.shape[:2], dtype=torch.bool)))
    clips = torch.cat(found).numpy()
    count = min(Novelty.COMPONENTS, len(clips) - 1, clips.shape[1])
    components = PCA(count, whiten=True, svd_solver="randomized", random_state=0).fit(clips)
    deviations = np.sqrt(components.explained_variance_)
    # Copies of a clip leave components in which nothing differs.
    apart = deviations > 1e-3 * deviations[0]
    directions = np.zeros((clips.shape[1], Novelty.COMPONENTS), np.float32)
    directions[:, : apart.sum()] = components.components_[apart].T / deviations[apart]
    placed = clips @ directions
    if len(clips) > Novelty.PLACES:
        placed = KMeans(Novelty.PLACES, n_init=1, random_state=0).fit(placed).cluster_centers_
    novelty = Novelty(clips.shape[1])
    places = np.resize(placed, novelty.places.shape)
    novelty.set_known(torch.from_numpy(directions), torch.from_numpy(places))
    return novelty
