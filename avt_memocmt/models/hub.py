"""Checkpoints on the Hugging Face hub, or a server that speaks as it does (HF_ENDPOINT).

A repository holds the files of a checkpoint folder and `SUMS_FILE`, by which every download is
checked. Weights are safetensors, so that nothing of a stranger's repository is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of the library that it speaks HTTP with
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from avt_memocmt.errors import AvtError
from avt_memocmt.models.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_FILE,
    load_model,
    read_metrics,
)
from avt_memocmt.models.model_card import model_card
from avt_memocmt.pretrained import file_sha256

SUMS_FILE = "SHA256SUMS"
"""The SHA-256 of every other file, as `sha256sum` writes and checks it."""
WEIGHTS = "*.safetensors"


def push_checkpoint(folder: Path, repository: str, *, private: bool = False) -> str:
    """Put a checkpoint into a repository of the hub, in one commit.

    Args:
        folder: of the checkpoint; its card is written anew.
        repository: "user/name"; made where it is missing.
        private: whether a repository that is made can be seen by its owner alone.

    Returns:
        The commit, by which `EmotionRecognizer.from_pretrained` finds exactly these files.

    Raises:
        AvtError: the checkpoint cannot be loaded, or the hub does not take it.
    """
    model, config = load_model(folder)
    metrics = read_metrics(folder)
    paths = [folder / CONFIG_FILE, folder / METRICS_FILE, *sorted(folder.glob(WEIGHTS))]
    contents: dict[str, bytes | Path] = {path.name: path for path in paths}
    contents[CARD_FILE] = model_card(model, config, metrics).encode()
    sums = {path.name: file_sha256(path) for path in paths}
    contents[SUMS_FILE] = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()
    with _readable_errors(repository):
        hub = HfApi()
        hub.create_repo(repository, private=private, exist_ok=True)
        commit = hub.create_commit(
            repository,
            [
                CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
                for name, content in contents.items()
            ],
            commit_message=f"{metrics.get('model', config.model.kind)}, by avt-memocmt push",
        )
    return commit.oid


def download_checkpoint(repository: str, revision: str | None = None) -> Path:
    """The folder of a repository's checkpoint in the hub's cache, downloaded where it is not there.

    Without a network, or with HF_HUB_OFFLINE=1, what the cache holds is taken.

    Args:
        repository: "user/name".
        revision: branch, tag or commit; None = the main branch.

    Raises:
        AvtError: it cannot be had, or is not what `push_checkpoint` put there.
    """
    patterns = [CONFIG_FILE, METRICS_FILE, CARD_FILE, SUMS_FILE, WEIGHTS]
    with _readable_errors(repository, revision):
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    _check_sums(folder, repository)
    return folder


def _check_sums(folder: Path, repository: str) -> None:
    try:
        lines = (folder / SUMS_FILE).read_text("utf-8").splitlines()
        sums = {name: sha256 for sha256, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise AvtError(
            f"{repository} has no readable {SUMS_FILE}, so it is no checkpoint that avt-memocmt "
            "push wrote; give another repository."
        ) from error
    found = [CONFIG_FILE, MODEL_FILE, *(path.name for path in folder.glob(WEIGHTS))]
    for name in sorted({*found, *sums}):
        path = folder / name
        if Path(name).name != name or not path.is_file() or sums.get(name) != file_sha256(path):
            raise AvtError(
                f"{name} of {repository} is not the file that its {SUMS_FILE} names; delete "
                f"{folder} to download it again, or give another revision."
            )


@contextmanager
def _readable_errors(repository: str, revision: str | None = None) -> Iterator[None]:
    """Turn what goes wrong with the hub into one sentence."""
    where = repository if revision is None else f"{repository}@{revision}"
    try:
        yield
    except GatedRepoError as error:
        raise AvtError(
            f"{where} is only for those whom its owner lets in; ask on its page, then run hf auth "
            "login."
        ) from error
    except RepositoryNotFoundError as error:
        raise AvtError(
            f"the hub has no repository {repository} that you may see; check the name, and run hf "
            "auth login if it is private."
        ) from error
    except RevisionNotFoundError as error:
        raise AvtError(f"{repository} has no branch, tag or commit {revision}.") from error
    except LocalEntryNotFoundError as error:
        raise AvtError(
            f"the hub cannot be reached for {where}, and not all of it was downloaded before; "
            "connect to it, or give a folder."
        ) from error
    except HFValidationError as error:
        raise AvtError(f"{repository} is no name of a repository; give it as user/name.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = "run hf auth login" if status in (401, 403) else "try again later"
        raise AvtError(f"the hub refuses {where} (status {status}); {hint}.") from error
    except (HTTPError, OSError) as error:
        raise AvtError(f"the hub cannot be reached for {where} ({error}).") from error
