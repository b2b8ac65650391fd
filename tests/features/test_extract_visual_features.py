import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from face_factory import make_face_cnn
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel

from avt_memocmt.config import EncoderConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_visual_features import (
    FACE_CNN_FILE,
    HubVisualEncoder,
    make_visual_encoder,
)
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.preprocessing.face_tracker import FaceObservation

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
KINDS = ("resnet", "vit", "face-cnn")


def save_hub_model(folder: Path, kind: str) -> Path:
    torch.manual_seed(0)
    if kind == "resnet":
        shape = {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1]}
        model = ResNetModel(ResNetConfig(layer_type="basic", **shape))
        size: object = {"shortest_edge": 64}
    else:
        shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        model = ViTModel(ViTConfig(intermediate_size=32, image_size=64, patch_size=16, **shape))
        size = {"height": 64, "width": 64}
    model.save_pretrained(folder)
    settings = {"image_mean": MEAN, "image_std": STD, "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def save_face_cnn(folder: Path) -> FaceCNN:
    network = make_face_cnn()
    tensors = {name: value.half() for name, value in network.state_dict().items()}
    save_file(tensors, folder / FACE_CNN_FILE)
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return network.eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    save_hub_model(found["resnet"], "resnet")
    save_hub_model(found["vit"], "vit")
    save_face_cnn(found["face-cnn"])
    return found


@pytest.fixture(scope="module")
def encoders(folders: dict[str, Path]) -> dict[str, VisualEncoder]:
    return {
        kind: make_visual_encoder(EncoderConfig(name="face-cnn"), folder)
        if kind == "face-cnn"
        else make_visual_encoder(EncoderConfig(name=str(folder)))
        for kind, folder in folders.items()
    }


def crops(count: int, size: int = 112) -> list[np.ndarray]:
    rng = np.random.default_rng(count)
    small = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in small]


def observed(pictures: list[np.ndarray], start: float, step: float) -> list[FaceObservation]:
    return [FaceObservation(start + step * i, None, crop, 1, 0) for i, crop in enumerate(pictures)]


def normalised(pictures: list[np.ndarray], side: int) -> torch.Tensor:
    """What image processors do: antialiased resize, then mean and standard deviation."""
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    pixels = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    return (pixels / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def test_resnet_tokens_are_the_pooled_output_of_the_model(
    folders: dict[str, Path], encoders: dict[str, VisualEncoder]
) -> None:
    pictures = crops(5)
    (tokens,) = encoders["resnet"].encode([observed(pictures, 0.0, 0.25)], [0.0], 0.25)
    model = ResNetModel.from_pretrained(folders["resnet"]).eval()
    with torch.no_grad():
        expected = model(normalised(pictures, 64)).pooler_output.flatten(1)
    np.testing.assert_allclose(tokens.values, expected, atol=1e-5)
    assert tokens.values.shape == (5, 12)
    assert encoders["resnet"].dim == 12


def test_vit_tokens_are_the_mean_patch_of_the_model(
    folders: dict[str, Path], encoders: dict[str, VisualEncoder]
) -> None:
    pictures = crops(3)
    encoder = encoders["vit"]
    (tokens,) = encoder.encode([observed(pictures, 0.0, 0.25)], [0.0], 0.25)
    model = ViTModel.from_pretrained(folders["vit"]).eval()
    with torch.no_grad():
        hidden = model(normalised(pictures, 64)).last_hidden_state
        grid = encoder.feature_map(encoder.prepare(pictures))
    np.testing.assert_allclose(tokens.values, hidden[:, 1:].mean(1), atol=1e-5)
    # Patches are numbered row by row after the class token.
    assert grid.shape == (3, 16, 4, 4)
    np.testing.assert_allclose(grid[:, :, 1, 2], hidden[:, 1 + 4 + 2], atol=1e-5)


def test_face_cnn_tokens_are_those_of_the_network_on_faces_in_colour(tmp_path: Path) -> None:
    network = save_face_cnn(tmp_path)
    encoder = make_visual_encoder(EncoderConfig(name="face-cnn"), tmp_path)
    pictures = crops(4)
    (tokens,) = encoder.encode([observed(pictures, 0.0, 0.25)], [0.0], 0.25)
    inputs = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = network.features(inputs)
        blue_first = network.features(inputs.flip(1))
    np.testing.assert_allclose(tokens.values, expected, atol=1e-4)
    assert np.abs(tokens.values - blue_first.numpy()).max() > 0.1
    assert (encoder.dim, encoder.side) == (256, 112)


@pytest.mark.parametrize("kind", KINDS)
def test_batching_does_not_change_tokens_and_spans_start_with_the_utterance(
    kind: str, encoders: dict[str, VisualEncoder]
) -> None:
    encoder = encoders[kind]
    pictures = crops(40)
    utterances = [observed(pictures[:35], 2.0, 0.5), [], observed(pictures[35:], 30.25, 0.5)]
    found = encoder.encode(utterances, [2.0, 20.0, 30.0], 0.5)
    assert [tokens.values.shape for tokens in found] == [(n, encoder.dim) for n in (35, 0, 5)]
    alone = encoder.encode([observed(pictures[35:36], 0.0, 0.5)], [0.0], 0.5)[0]
    np.testing.assert_allclose(found[2].values[:1], alone.values, atol=1e-4)
    np.testing.assert_allclose(found[0].spans[:2], [[0.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(found[2].spans[0], [0.25, 0.75])
    assert found[1].spans.shape == (0, 2)
    assert encoder.encode([], [], 0.5) == []


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_pixel(kind: str, encoders: dict[str, VisualEncoder]) -> None:
    encoder = encoders[kind]
    pixels = encoder.prepare(crops(2)).requires_grad_()
    encoder(pixels).square().sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.shape == (2, 3, encoder.side, encoder.side)
    assert (pixels.grad.abs().sum(dim=1) > 0).float().mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_token_depends_on_nothing_but_the_feature_map(
    kind: str, encoders: dict[str, VisualEncoder]
) -> None:
    encoder = encoders[kind]
    pixels = encoder.prepare(crops(2))
    with torch.no_grad():
        torch.testing.assert_close(encoder.feature_map(pixels).mean((2, 3)), encoder(pixels))


def test_prepare_takes_crops_of_different_sizes(encoders: dict[str, VisualEncoder]) -> None:
    encoder = encoders["face-cnn"]
    flat = [np.full((size, size, 3), (51, 102, 204), np.uint8) for size in (20, 48, 112)]
    prepared = encoder.prepare(flat)
    expected = torch.tensor([0.2, 0.4, 0.8]).view(1, 3, 1, 1).expand(3, 3, 112, 112)
    torch.testing.assert_close(prepared, expected)
    assert encoder.prepare([]).shape == (0, 3, 112, 112)


def test_identity_changes_with_the_weights(tmp_path: Path) -> None:
    identities = []
    for seed in range(2):
        torch.manual_seed(seed)
        save_file(FaceCNN().state_dict(), tmp_path / FACE_CNN_FILE)
        identities.append(make_visual_encoder(EncoderConfig(name="face-cnn"), tmp_path).identity)
    assert identities[0]["name"] == "face-cnn"
    assert identities[0]["sha256"] != identities[1]["sha256"]


def test_hub_identity_holds_the_hash_of_a_folder(encoders: dict[str, VisualEncoder]) -> None:
    assert len(encoders["vit"].identity["sha256"]) == 64


def test_missing_weights_are_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="checkpoint folder"):
        make_visual_encoder(EncoderConfig(name="face-cnn"))
    with pytest.raises(AvtError, match=FACE_CNN_FILE):
        make_visual_encoder(EncoderConfig(name="face-cnn"), tmp_path)
    save_file({"weight": torch.zeros(2)}, tmp_path / FACE_CNN_FILE)
    with pytest.raises(AvtError, match="does not hold"):
        make_visual_encoder(EncoderConfig(name="face-cnn"), tmp_path)
    (tmp_path / FACE_CNN_FILE).write_bytes(b"broken")
    with pytest.raises(AvtError, match="does not hold"):
        make_visual_encoder(EncoderConfig(name="face-cnn"), tmp_path)
    with pytest.raises(AvtError, match="nowhere"):
        make_visual_encoder(EncoderConfig(name=str(tmp_path / "nowhere")))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = save_hub_model(tmp_path, "vit")
    weights = ViTModel.from_pretrained(folder).state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(AvtError, match="safetensors"):
        HubVisualEncoder(str(folder))


def test_incomplete_processor_settings_are_named(tmp_path: Path) -> None:
    folder = save_hub_model(tmp_path, "resnet")
    settings = folder / "preprocessor_config.json"
    settings.write_text(json.dumps({"image_mean": MEAN, "size": {"shortest_edge": 64}}))
    with pytest.raises(AvtError, match="image_std"):
        HubVisualEncoder(str(folder))
    settings.write_text(json.dumps({"image_mean": MEAN, "image_std": STD, "size": {"odd": 1}}))
    with pytest.raises(AvtError, match="size"):
        HubVisualEncoder(str(folder))
    settings.unlink()
    with pytest.raises(AvtError, match="image settings"):
        HubVisualEncoder(str(folder))


def test_other_networks_are_refused(tmp_path: Path) -> None:
    from transformers import ConvNextConfig, ConvNextModel

    config = ConvNextConfig(hidden_sizes=[4, 4, 4, 4], depths=[1, 1, 1, 1])
    ConvNextModel(config).save_pretrained(tmp_path)
    settings = {"image_mean": MEAN, "image_std": STD, "size": 64}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(AvtError, match="convnext"):
        HubVisualEncoder(str(tmp_path))
