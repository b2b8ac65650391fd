"""Records which network was measured on which data by which code, to reproduce a figure."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from avt_memocmt.config import Config
from avt_memocmt.data.baseline_scope import BaselineScope
from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.models.checkpoint import CONFIG_FILE, read_metrics
from avt_memocmt.pretrained import file_sha256
from avt_memocmt.version import __version__

PAST_ONLY, BOTH_SIDES = "past-only", "both-sides"


@dataclass(frozen=True)
class Provenance:
    """Where one row of the results comes from.

    Attributes:
        model: its name in tables.
        seed: of its training.
        split: "train", "dev", "test", or the name of a manifest.
        context: turns a decision knows: `PAST_ONLY` or `BOTH_SIDES`; see `with_scope`.
        selection: the rule that chose the weights.
        code: version of the package, and the commit where it runs from a repository.
        checkpoint_sha256: of the weights and the configuration; "" for a rule without weights.
        data_sha256: of the utterances, their labels and what made their features.
    """

    model: str
    seed: int
    split: str
    context: str
    selection: str
    code: str
    checkpoint_sha256: str
    data_sha256: str


def checkpoint_provenance(folder: Path, config: Config, split: str, data_sha256: str) -> Provenance:
    """The provenance of a checkpoint's figures.

    Name, seed and selection rule are those in its metrics.json; a name or seed that is not there is
    that of the folder or the configuration.

    Raises:
        AvtError: metrics.json is damaged.
    """
    metrics = read_metrics(folder)
    return Provenance(
        model=str(metrics.get("model", folder.resolve().name)),
        seed=int(metrics.get("seed", config.training.seed)),
        split=split,
        context=PAST_ONLY if config.model.causal else BOTH_SIDES,
        selection=str(metrics.get("selection", "not recorded")),
        code=code_version(),
        checkpoint_sha256=checkpoint_sha256(folder),
        data_sha256=data_sha256,
    )


def with_scope(provenance: Provenance, scope: BaselineScope) -> Provenance:
    """Add to the context from where speakers' baselines come, unless it is the past.

    So figures with different baselines are different rows of the results.
    """
    if scope == "past":
        return provenance
    return replace(provenance, context=f"{provenance.context}, speaker baseline {scope}")


def checkpoint_sha256(folder: Path) -> str:
    """What `sha256sum *.safetensors config.yaml | sha256sum` prints in the folder, names sorted.

    In an exported folder *.onnx takes the place of *.safetensors.
    """
    weights = [path.name for kind in ("safetensors", "onnx") for path in folder.glob(f"*.{kind}")]
    names = sorted([CONFIG_FILE, *weights])
    lines = (f"{file_sha256(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def data_sha256(evaluation: Evaluation, sources: Iterable[str]) -> str:
    """SHA-256 of the keys and labels of what was measured, and of the sources' descriptions.

    Args:
        evaluation: its keys and labels are hashed.
        sources: what made the input: manifests of feature stores, or a file's SHA-256.
    """
    content = [evaluation.keys, evaluation.truth.tolist(), list(sources)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def code_version(package: Path = Path(__file__).parents[1]) -> str:
    """ "0.1.0", or "0.1.0+1a2b3c4d5e6f" in a repository, with "-dirty" if the package was edited.

    Only the package's own folder counts, so that results written beside it do not change it.
    """
    if not (package.parent / ".git").exists():
        return __version__
    commit = _git(package, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return __version__
    edited = _git(package, "status", "--porcelain", "--", ".")
    return f"{__version__}+{commit}{'-dirty' if edited else ''}"


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command that takes no locks; None where git is missing or fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
