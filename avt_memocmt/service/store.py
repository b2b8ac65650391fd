"""Jobs and the tasks on them, in the database."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Engine, case, func, select, true, update
from sqlalchemy.orm import Session, sessionmaker

from avt_memocmt.service.database import forget_deleted
from avt_memocmt.service.job_files import RECOGNISED
from avt_memocmt.service.models import Job, Kind, State, Task

Result = TypeVar("Result")

MOST_DEATHS = 2
"""Workers that a task may cost before it is given up."""
_OPEN = (State.QUEUED, State.IN_PROGRESS)


@dataclass(frozen=True)
class Finding:
    """What a worker says of a prediction that it wrote.

    Attributes:
        duration: seconds of the media.
        emotions: share of the time of each.
    """

    duration: float
    emotions: dict[str, float]


class JobStore:
    """Every call is one transaction; what it returns is detached from the database.

    Args:
        engine: of a database that `open_database` opened.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session = sessionmaker(engine, expire_on_commit=False)

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def add(self, job: Job, most_waiting: int) -> bool:
        """Put a job in with its first task; False, and nothing is done, where the queue is full."""

        def work(session: Session) -> bool:
            if _waiting(session) >= most_waiting:
                return False
            session.add(job)
            session.flush()
            session.add(Task(job_id=job.id, kind=Kind.PREDICT, revision=job.revision))
            return True

        return self._in_transaction(work)

    def job(self, job_id: str) -> Job | None:
        """The job of an id."""
        return self._in_transaction(lambda session: _job(session, job_id))

    def jobs(
        self, state: str | None, search: str, limit: int, before: int | None
    ) -> tuple[Sequence[Job], int | None]:
        """A page of the jobs, newest first.

        Args:
            state: leave out others.
            search: text in the name, in any case.
            limit: most jobs.
            before: number of the job after which the page begins.

        Returns:
            The jobs; the number to give as `before` for the next page, None where there is none.
        """
        query = select(Job).order_by(Job.number.desc()).limit(limit + 1)
        if state is not None:
            query = query.where(Job.state == state)
        if search:
            query = query.where(Job.name.icontains(search, autoescape=True))
        if before is not None:
            query = query.where(Job.number < before)
        found = self._in_transaction(lambda session: session.scalars(query).all())
        page = found[:limit]
        return page, page[-1].number if len(found) > limit else None

    def ids(self) -> set[str]:
        """Of all jobs."""
        return set(self._in_transaction(lambda session: session.scalars(select(Job.id)).all()))

    def waiting(self) -> int:
        """Tasks in the queue."""
        return self._in_transaction(_waiting)

    def counts(self) -> dict[str, int]:
        """Jobs in each state."""
        query = select(Job.state, func.count()).group_by(Job.state)
        found = self._in_transaction(lambda session: session.execute(query).all())
        return {state: 0 for state in State} | {state: count for state, count in found}

    def claim(self, kinds: Iterable[Kind]) -> tuple[Task, Job] | None:
        """The next task of these kinds, which is in progress with this; None where none waits.

        Exports come before predictions, because somebody waits for them before the page.
        """
        first = case((Task.kind == Kind.PREDICT, 1), else_=0)
        waiting = Task.state == State.QUEUED, Task.kind.in_(list(kinds))
        query = select(Task).where(*waiting).order_by(first, Task.id).limit(1)

        def work(session: Session) -> tuple[Task, Job] | None:
            task = session.scalars(query.with_for_update(skip_locked=True)).first()
            if task is None:
                return None
            job = session.scalars(select(Job).where(Job.id == task.job_id)).one()
            task.state = State.IN_PROGRESS
            if task.kind == Kind.PREDICT:
                job.state, job.started, job.error = State.IN_PROGRESS, time.time(), None
            return task, job

        return self._in_transaction(work)

    def complete(self, task: Task, finding: Finding | None = None) -> Job | None:
        """A task is done and its files are in place; None where its job was deleted meanwhile.

        Args:
            task: in progress.
            finding: of a prediction.
        """

        def work(session: Session) -> Job | None:
            job = _close(session, task, State.COMPLETED, None)
            if job is not None and finding is not None:
                job.state, job.finished = State.COMPLETED, time.time()
                job.duration, job.emotions = finding.duration, finding.emotions
                job.result = task.revision
                job.revision = max(job.revision, task.revision)
            return job

        return self._in_transaction(work)

    def fail(self, task: Task, reason: str) -> Job | None:
        """A task cannot be done; a job that has a result keeps it."""

        def work(session: Session) -> Job | None:
            job = _close(session, task, State.FAILED, reason)
            if job is not None and task.kind == Kind.PREDICT:
                job.state = State.FAILED if job.result is None else State.COMPLETED
                job.finished, job.error = time.time(), reason
            return job

        return self._in_transaction(work)

    def put_back(self, task: Task, reason: str) -> Job | None:
        """A task has cost its worker: it waits again, or fails for this reason if it was the last
        that it may cost."""

        def work(session: Session) -> Job | None:
            known = session.get(Task, task.id)
            job = _job(session, task.job_id)
            if known is None or job is None or known.state != State.IN_PROGRESS:
                return job
            known.deaths += 1
            if known.deaths < MOST_DEATHS:
                known.state = task.state = State.QUEUED
                if task.kind == Kind.PREDICT:
                    job.state = State.QUEUED
            return job if known.deaths < MOST_DEATHS else None

        job = self._in_transaction(work)
        return self.fail(task, reason) if job is None else job

    def put_back_interrupted(self) -> None:
        """What an earlier service was at, when it was ended, waits again."""

        def work(session: Session) -> None:
            session.execute(
                update(Task).where(Task.state == State.IN_PROGRESS).values(state=State.QUEUED)
            )
            session.execute(
                update(Job).where(Job.state == State.IN_PROGRESS).values(state=State.QUEUED)
            )

        self._in_transaction(work)

    def cancel(self, job_id: str) -> Job | None:
        """Nothing more is done on a job; one that has a result keeps it."""

        def work(session: Session) -> Job | None:
            job = _job(session, job_id)
            if job is None:
                return None
            session.execute(
                update(Task)
                .where(Task.job_id == job_id, Task.state.in_(_OPEN))
                .values(state=State.CANCELLED)
            )
            if job.state in _OPEN:
                job.state = State.CANCELLED if job.result is None else State.COMPLETED
                job.finished = time.time()
            return job

        return self._in_transaction(work)

    def cancel_task(self, task: Task) -> Task:
        """Nothing more is done on a task; one that is finished stays as it is."""

        def work(session: Session) -> Task:
            known = session.get(Task, task.id) or task
            if known.state in _OPEN:
                known.state = State.CANCELLED
            return known

        return self._in_transaction(work)

    def delete(self, job_id: str) -> None:
        """Forget a job, in the files of the database too."""

        def work(session: Session) -> None:
            for task in session.scalars(select(Task).where(Task.job_id == job_id)):
                session.delete(task)
            session.flush()
            if (job := _job(session, job_id)) is not None:
                session.delete(job)

        self._in_transaction(work)
        forget_deleted(self._engine)

    def rename_speakers(self, job_id: str, names: dict[str, str | None]) -> Job | None:
        """Give speakers other names, or none; that is a revision of the same result."""

        def work(session: Session) -> Job | None:
            job = _job(session, job_id)
            if job is not None:
                job.names = {**job.names, **names}
                job.revision += 1
            return job

        return self._in_transaction(work)

    def correct(self, job_id: str, cues: Iterable[dict[str, Any]], most_waiting: int) -> Job | None:
        """Decide again on corrected utterances; None, and nothing is done, if the queue is full."""

        def work(session: Session) -> Job | None:
            job = _job(session, job_id)
            if job is None or _waiting(session) >= most_waiting:
                return None
            session.execute(
                update(Task)
                .where(Task.job_id == job_id, Task.state == State.QUEUED)
                .values(state=State.CANCELLED)
            )
            job.revision += 1
            job.state, job.error = State.QUEUED, None
            session.add(
                Task(job_id=job_id, kind=Kind.PREDICT, revision=job.revision, cues=list(cues))
            )
            return job

        return self._in_transaction(work)

    def pending_cues(self, job_id: str) -> list[dict[str, Any]] | None:
        """Corrected utterances that are not decided on yet; None where there are none."""
        query = (
            select(Task.cues)
            .where(Task.job_id == job_id, Task.kind == Kind.PREDICT, Task.state.in_(_OPEN))
            .order_by(Task.id.desc())
        )
        return self._in_transaction(lambda session: session.scalars(query).first())

    def restore(
        self, job_id: str, names: dict[str, str | None], emotions: dict[str, float]
    ) -> Job | None:
        """Make what was recognised the readable result again.

        Args:
            job_id: of a job on which nothing is done.
            names: of speakers, by their ids, that stay corrected.
            emotions: share of the time of each in what was recognised.
        """

        def work(session: Session) -> Job | None:
            job = _job(session, job_id)
            if job is not None:
                job.result, job.names, job.emotions = RECOGNISED, names, emotions
                job.error = None
                job.revision += 1
            return job

        return self._in_transaction(work)

    def ask(
        self, job: Job, kind: Kind, *, utterance: int | None = None, name: str | None = None
    ) -> Task:
        """The task that explains an utterance of the readable result, or exports it.

        It is made where there is none, or it failed or was cancelled.
        """

        def work(session: Session) -> Task:
            found = _asked(session, job, kind, utterance, name)
            if found is not None and found.state not in (State.FAILED, State.CANCELLED):
                return found
            task = Task(
                job_id=job.id,
                kind=kind,
                state=State.QUEUED,
                revision=_revision(job, kind),
                utterance=utterance,
                name=name,
                cues=_cues(session, job),
            )
            session.add(task)
            return task

        return self._in_transaction(work)

    def asked(
        self, job: Job, kind: Kind, *, utterance: int | None = None, name: str | None = None
    ) -> Task | None:
        """The same task; None where nobody asked for it."""
        return self._in_transaction(lambda session: _asked(session, job, kind, utterance, name))

    def explanations_before(self, task: Task) -> int:
        """How many explanations are made before this one, of whatever job."""
        query = (
            select(func.count())
            .select_from(Task)
            .where(Task.kind == Kind.EXPLAIN, Task.state.in_(_OPEN), Task.id < task.id)
        )
        return self._in_transaction(lambda session: session.scalar(query)) or 0

    def _in_transaction(self, work: Callable[[Session], Result]) -> Result:
        with self._session.begin() as session:
            return work(session)


def new_job(name: str, options: dict[str, Any], **values: Any) -> Job:
    """A job that was not put in yet, with an id that cannot be guessed."""
    return Job(
        id=secrets.token_hex(16),
        name=name,
        state=State.QUEUED,
        created=time.time(),
        options=options,
        names={},
        revision=0,
        **values,
    )


def _waiting(session: Session) -> int:
    query = select(func.count()).select_from(Task).where(Task.state == State.QUEUED)
    return session.scalar(query) or 0


def _job(session: Session, job_id: str) -> Job | None:
    return session.scalars(select(Job).where(Job.id == job_id)).first()


def _cues(session: Session, job: Job) -> list[dict[str, Any]] | None:
    query = (
        select(Task.cues)
        .where(Task.job_id == job.id, Task.kind == Kind.PREDICT, Task.revision == job.result)
        .order_by(Task.id.desc())
    )
    return session.scalars(query).first()


def _revision(job: Job, kind: Kind) -> int:
    """Explanations are of a result; exports hold the names of speakers too."""
    assert job.result is not None
    return job.result if kind == Kind.EXPLAIN else job.revision


def _asked(
    session: Session, job: Job, kind: Kind, utterance: int | None, name: str | None
) -> Task | None:
    query = (
        select(Task)
        .where(
            Task.job_id == job.id,
            Task.kind == kind,
            Task.revision == _revision(job, kind),
            Task.utterance == utterance if utterance is not None else true(),
            Task.name == name if name is not None else true(),
        )
        .order_by(Task.id.desc())
    )
    return session.scalars(query).first()


def _close(session: Session, task: Task, state: State, error: str | None) -> Job | None:
    """End a task that is in progress; None where it was cancelled or deleted meanwhile."""
    task.state = state
    known = session.get(Task, task.id)
    if known is None or known.state != State.IN_PROGRESS:
        return None
    known.state, known.error = state, error
    return _job(session, task.job_id)
