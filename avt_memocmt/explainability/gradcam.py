"""Grad-CAM on the last stage of the visual encoder, for the final decision of the whole network."""

from __future__ import annotations

import torch
from torch import Tensor

from avt_memocmt.as_program import run_command
from avt_memocmt.explainability.evidence import FaceEvidence
from avt_memocmt.explainability.forward_function import ForwardFunction
from avt_memocmt.explainability.integrated_gradients import Attribution


def grad_cam(
    function: ForwardFunction, evidence: FaceEvidence, emotion: int, *, plus_plus: bool = False
) -> Attribution:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): where the faces speak for a class.

    It reads the encoder's last maps: ResNet's or the face CNN's last stage, or a ViT's patch tokens
    as a grid. The gradient is that of the final logit, through projection, the faces' own decision,
    gate and both transformers; one backward pass explains all faces of the turn.

    Args:
        function: the turn's forward function.
        evidence: its faces.
        emotion: index of the class that is explained.
        plus_plus: take the weights of Grad-CAM++ instead (Chattopadhay et al. 2018, equations 10
            and 19, for a score that is exponentiated).

    Returns:
        Scores [faces, h, w], none below 0.
    """
    others = function.values(without="visual")
    with torch.no_grad():
        maps = evidence.maps(evidence.inputs)
    maps.requires_grad_(True)
    logit = function.logits({**others, "visual": maps.mean(dim=(3, 4))})[0, emotion]
    (gradient,) = torch.autograd.grad(logit, maps)
    with torch.no_grad():
        weights = _plus_plus_weights(maps, gradient) if plus_plus else gradient.mean(dim=(3, 4))
        found = (weights[..., None, None] * maps).sum(dim=2).relu()[0]
    method = "Grad-CAM++" if plus_plus else "Grad-CAM"
    return Attribution(method, "none", found.double().numpy())


def _plus_plus_weights(maps: Tensor, gradient: Tensor) -> Tensor:
    """Weights [batch, faces, channels] of maps [batch, faces, channels, h, w]."""
    square, cube = gradient**2, gradient**3
    denominator = 2 * square + maps.sum(dim=(3, 4), keepdim=True) * cube
    alpha = torch.where(denominator != 0, square / denominator, torch.zeros_like(square))
    return (alpha * gradient.relu()).sum(dim=(3, 4))


if __name__ == "__main__":
    run_command("explain-by", "grad-cam")
