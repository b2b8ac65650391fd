"""Files of the jobs: uploads and results, each of which is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder
from avt_memocmt.service.models import Job

PREDICTION, FRAMES = "prediction.json", "frames.json"
FACES, EXPORTS, EXPLANATIONS = "faces", "exports", "explanations"
EXPLANATION = "explanation.json"
RECOGNISED = 0
"""Revision of the result before any correction."""


class JobFiles:
    """The data folder of the service.

    No name in it comes from a caller: a job's folder has its id, which the service made.

    Args:
        data: the folder; made where missing.
        allowed: folders, resolved, whose files jobs may name by their path.

    Raises:
        AvtError: it cannot be written to.
    """

    def __init__(self, data: Path, allowed: tuple[Path, ...] = ()) -> None:
        self._jobs = writable_folder(data / "jobs")
        self._temporary = writable_folder(data / "temporary")
        self._allowed = allowed
        for folder in (self._jobs, self._temporary):
            folder.chmod(0o700)  # films of people; nobody else's business

    def new_folder(self) -> Path:
        """A new folder for an upload that comes in or an export that goes out."""
        path = self._temporary / secrets.token_hex(16)
        path.mkdir()
        return path

    def keep_upload(self, upload: Path, job: Job) -> None:
        """Make an upload the folder of a job."""
        os.replace(upload, self.folder(job))

    def folder(self, job: Job) -> Path:
        """All that belongs to a job."""
        return self._jobs / job.id

    def media(self, job: Job) -> Path:
        """The media of a job.

        Raises:
            AvtError: it lies in a folder that is not allowed any more, or is gone.
        """
        if job.source is None:
            assert job.media is not None
            return self.folder(job) / job.media
        return self.allowed(job.source)

    def allowed(self, path: str) -> Path:
        """The file that a caller names by its path, links resolved.

        Raises:
            AvtError: it lies in no allowed folder, or is no file there.
        """
        if not self._allowed:
            raise AvtError("jobs by path are off; start the service with --allow-folder DIR.")
        try:
            found = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            found = None
        # The same words for what is missing and for what is not allowed: they tell nothing.
        if found is None or not any(found.is_relative_to(folder) for folder in self._allowed):
            raise AvtError("there is no such file in a folder that the service may read.")
        if not found.is_file():
            raise AvtError("the path names no file; give the path of one media file.")
        return found

    def transcript(self, job: Job) -> Path | None:
        """The transcript that came with a job."""
        return None if job.transcript is None else self.folder(job) / job.transcript

    def result(self, job: Job, revision: int | None = None) -> Path:
        """Folder of a result; of the readable one unless a revision is given."""
        return self.folder(job) / "results" / str(job.result if revision is None else revision)

    def explanation(self, job: Job, utterance: int) -> Path:
        """Folder of the explanation of an utterance of the readable result."""
        return self.result(job) / EXPLANATIONS / str(utterance)

    def export(self, job: Job, revision: int, name: str) -> Path:
        """Folder of an export that a worker makes.

        Args:
            job: that is exported.
            revision: of the job.
            name: of the format, a key of `downloads`.
        """
        return self.result(job) / EXPORTS / f"{name}.{revision}"

    def partial(self, job: Job) -> Path:
        """A new folder for what a worker writes, in which nobody reads."""
        path = self.folder(job) / f".{secrets.token_hex(8)}.part"
        path.mkdir(parents=True)
        return path

    def remove_older_results(self, job: Job) -> None:
        """Remove all results but the readable one and what was recognised.

        An export is of one revision of the job, so that none of an older one is asked for again.
        """
        kept = (self.result(job), self.result(job, RECOGNISED))
        for path in self.result(job).parent.iterdir():
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.result(job, RECOGNISED) / EXPORTS, ignore_errors=True)

    def remove(self, job_id: str) -> None:
        """Remove all that belongs to a job."""
        shutil.rmtree(self._jobs / job_id, ignore_errors=True)

    def sweep(self, known: set[str]) -> None:
        """Remove what a service that was ended left: uploads, unfinished results, deleted jobs.

        Args:
            known: ids of the jobs.
        """
        for path in self._temporary.iterdir():
            shutil.rmtree(path, ignore_errors=True)
        for folder in self._jobs.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for path in folder.glob(".*.part"):
                shutil.rmtree(path, ignore_errors=True)


def put_in_place(partial: Path, final: Path) -> None:
    """Make an unfinished folder the finished one; one that a killed service left gives way."""
    final.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
