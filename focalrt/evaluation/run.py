"""Many samples, in this process, in others or on a Dask cluster; an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from .. import __version__
from ..checks import told
from ..errors import EvaluationError, FocalrtError
from ..extras import imported
from ..zoo import DEFAULT
from .catalogue import NO_MERGE, fingerprint, has_policy
from .datasets import Dataset, open_dataset
from .methods import Method
from .play import Job, Rules, check_start, inputs_of, last_mask, play
from .record import Record, Row
from .report import Worst, worst_records, write_report
from .sample import Sample
from .table import scores, times

RECORDS, IDENTITY = "records.jsonl", "run.json"
PATIENCE = 10  # seconds for a scheduler to answer


@dataclass(frozen=True)
class Evaluation:
    """A finished run.

    dataset: what was clicked. rules: what was the same for all rows. jobs, records: one for every row and sample, the
    samples of a row together.
    """

    dataset: Dataset
    rules: Rules
    jobs: tuple[Job, ...]
    records: tuple[Record, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """What was compared, in order."""
        return tuple(dict.fromkeys(job.row for job in self.jobs))

    def scores(self) -> str:
        """Markdown table of all that depends on masks only: the same for every number of workers, to the digit.

        Another number of threads, another kind of processor and another release of ONNX Runtime round the networks'
        sums differently, in the seventh digit or so; now and then that moves a pixel, and with it a click.
        """
        return scores(self.records, self.rows)

    def times(self) -> str:
        """Markdown table of milliseconds, as measured."""
        return times(self.records, self.rows)

    def write_report(self, path: str | os.PathLike[str], command: str = "") -> None:
        """Writes one HTML file with tables, curves, and the worst samples of the first row. Needs the ``eval`` extra.

        command: what made the run, for the reader to repeat. Raises EvaluationError, MissingExtraError, OSError.
        """
        digests = {job.row.method: job.digest for job in self.jobs if job.digest}
        facts = {
            "Command": command or "focalrt.evaluation.evaluate",
            "Data set": f"{self.dataset.name} ({self.dataset.layout}), {len(self.jobs) // len(self.rows)} samples",
            "Begins with": f"{self.rules.start}, seed {self.rules.seed}",
            **{f"Networks of {name}, SHA-256": digest for name, digest in digests.items()},
        }
        jobs = {(job.row, job.sample.name): job for job in self.jobs}
        worst = []
        for record in worst_records(self.records, self.rows[0]):
            example, mask = last_mask(jobs[record.row, record.sample], record)
            worst.append(Worst(record, example.image, example.truth, mask))
        write_report(path, self.records, self.rows, facts, worst)


def evaluate(
    dataset: str | os.PathLike[str] | Dataset,
    methods: Sequence[str] | Mapping[str, Method] = (DEFAULT,),
    *,
    merges: Sequence[str] = ("auto",),
    people: int = 0,
    rules: Rules = Rules(),  # noqa: B008  frozen
    limit: int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Evaluation:
    """Clicks through every sample with every method.

    dataset: a folder (see :mod:`.datasets`), or what ``open_dataset`` returns.
    methods: names (see :mod:`.catalogue`), or methods of your own by name (see :mod:`.methods`); with several workers
    those are pickled. Those of the catalogue are warm before the clock begins, your own are clicked as they come.
    merges: policies; each makes a row of every method of the catalogue that has one.
    people: human-like users beside the robot, of seeds 0, 1, ...
    limit: only so many samples, evenly spread.
    workers: processes. scheduler: address of a Dask scheduler (``tcp://host:8786``), whose workers see data and models
    under the same paths, in place of ``workers``.
    out: a folder that keeps the records; a run that was interrupted goes on from there, another one is refused. What
    was recorded of a photo, a truth or a first mask that has changed since is made again. A method of your own needs an
    attribute ``digest`` for this, a text that changes whenever the method does; without one, ``out`` is refused.
    progress: a bar on standard error.
    Raises DatasetError, EvaluationError, MissingExtraError, ModelNotFoundError, ModelError, OSError.
    """
    found = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    samples = spread(found.samples, limit)
    own = methods if isinstance(methods, Mapping) else {}
    rows = tuple(rows_of(methods, merges, people, own))
    kept = {name: own_digest(name, method) for name, method in own.items()} if out is not None else {}
    digests = {row.method: "" if row.method in own else fingerprint(row.method) for row in rows}
    jobs = tuple(
        Job(row, sample, rules, own.get(row.method), digests[row.method]) for row in rows for sample in samples
    )
    check_start(samples, rules.start)
    for job in {job.row: job for job in jobs}.values():
        job.opened()  # what is wrong with a method is told before anything runs
    shelf = Shelf(out, identity(found, samples, digests | kept, rules)) if out is not None else None
    done = still_right(shelf.read(), jobs) if shelf else {}
    fresh = played([job for job in jobs if (job.row, job.sample.name) not in done], workers, scheduler)
    for record in told_progress(fresh, len(jobs), len(done)) if progress else fresh:
        if shelf:
            shelf.add(record)
        done[record.row, record.sample] = record
    return Evaluation(found, rules, jobs, tuple(done[job.row, job.sample.name] for job in jobs))


def own_digest(name: str, method: Method) -> str:
    """What tells a method of one's own from what it was before. Raises EvaluationError where it does not say."""
    digest = getattr(method, "digest", None)
    if not isinstance(digest, str) or not digest:
        raise EvaluationError(
            f"out: records are kept of methods that tell by their digest whether they changed, and {name!r} has the "
            f"digest {told(digest)}; expected a text, as a version, that is another one whenever the method is. Give "
            "it one, or leave out the folder"
        )
    return digest


def spread(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """``limit`` of the samples, evenly spread; all where there are no more."""
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise EvaluationError(f"limit: expected at least 1; got {limit}")
    return [samples[number * len(samples) // limit] for number in range(limit)]


def rows_of(methods: Iterable[str], merges: Iterable[str], people: int, own: Container[str]) -> Iterator[Row]:
    """Every method with every policy that it knows, each clicked by the robot and by so many people."""
    users = ["robot", *(f"human-{seed}" for seed in range(people))]
    for method in dict.fromkeys(methods):
        for merge in dict.fromkeys(merges) if method not in own and has_policy(method) else (NO_MERGE,):
            for clicks in users:
                yield Row(method, merge, clicks)


def identity(
    dataset: Dataset, samples: Sequence[Sample], digests: Mapping[str, str], rules: Rules
) -> dict[str, Any]:
    """All that decides what records hold, but what their inputs tell; two runs agree in it or do not mix.

    digests: of every method's networks; what a method of one's own tells as its digest.
    """
    names = "\n".join(sample.name for sample in samples)
    return {
        "focalrt": __version__,
        "dataset": dataset.name,
        "layout": dataset.layout,
        "samples": f"{len(samples)}, {sha256(names.encode()).hexdigest()[:16]}",
        "rules": asdict(rules),
        "networks": dict(digests),
    }


def still_right(records: Iterable[Record], jobs: Iterable[Job]) -> dict[tuple[Row, str], Record]:
    """The records of these jobs, by row and sample, whose photo, truth and first mask are what they were."""
    wanted = {(job.row, job.sample.name): job for job in jobs}
    now: dict[str, str] = {}
    right = {}
    for record in records:
        job = wanted.get((record.row, record.sample))
        if job is not None and record.sample not in now:
            try:
                now[record.sample] = inputs_of(job.sample, job.rules.start)
            except (FocalrtError, OSError):
                now[record.sample] = "unreadable"  # and so it will be told when it is clicked
        if job is not None and record.inputs == now[record.sample]:
            right[record.row, record.sample] = record
    return right


class Shelf:
    """A folder that keeps records as they come: ``run.json`` tells of which run, ``records.jsonl`` one on a line."""

    def __init__(self, folder: str | os.PathLike[str], identity: dict[str, Any]) -> None:
        """Opens or makes the folder. Raises EvaluationError where it keeps another run, OSError."""
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / IDENTITY
        if not path.exists():
            path.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
        changed = unlike(path.read_text(encoding="utf-8"), identity)
        if changed:
            raise EvaluationError(
                f"{str(self._folder)!r} keeps another run, and records of two runs do not mix: {changed}. Take another "
                "folder, or remove it"
            )

    def read(self) -> Iterator[Record]:
        """The records that count; those with an error are tried again, a line cut short by a crash is dropped."""
        path = self._folder / RECORDS
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = Record.from_json(line)
            except ValueError:
                continue
            if record.error is None:
                yield record

    def add(self, record: Record) -> None:
        """Keeps one more, on a line of its own whatever the last one was like."""
        with (self._folder / RECORDS).open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(record.to_json().encode() + b"\n")


def unlike(kept: str, identity: Mapping[str, Any]) -> str:
    """Names what is not the same in two runs, as "" where all is. kept: the JSON of one of them."""
    try:
        there = json.loads(kept)
    except ValueError:
        there = None
    if not isinstance(there, dict):
        return f"its {IDENTITY} is damaged"
    changed = [name for name in {**identity, **there} if there.get(name) != identity.get(name)]
    return "; ".join(f"{name} is {there.get(name)!r} there, {identity.get(name)!r} now" for name in changed)


def played(jobs: Sequence[Job], workers: int, scheduler: str | None) -> Iterator[Record]:
    """The records of all jobs, as they are done. Raises EvaluationError."""
    if workers < 1:
        raise EvaluationError(f"workers: expected at least 1; got {workers}")
    if scheduler:
        return on_cluster(jobs, scheduler)
    return in_processes(jobs, workers) if workers > 1 else map(play, jobs)


def in_processes(jobs: Sequence[Job], workers: int) -> Iterator[Record]:
    """Records as they are done, by so many processes of this machine."""
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=alone) as pool:
        futures = [pool.submit(play, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise EvaluationError(
                "a worker process died, perhaps for want of memory; with an output folder the same command goes on, "
                "with fewer workers if need be"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def alone() -> None:
    """A worker process is one of many: OpenCV gets one thread in it."""
    cv2.setNumThreads(1)


def on_cluster(jobs: Sequence[Job], address: str) -> Iterator[Record]:
    """Records as they are done, by the workers of a Dask cluster."""
    distributed = imported("distributed", "a scheduler", "cluster")
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"scheduler: no Dask scheduler answers at {address!r}: {error}") from error
    with client:
        try:
            for _, record in distributed.as_completed(client.map(play, jobs, pure=False), with_results=True):
                yield record
        except Exception as error:  # never the job's own: play tells those in its record
            raise EvaluationError(
                f"the cluster at {address!r} lost a job, and needs focalrt and the data on every worker: {error}"
            ) from error


def told_progress(records: Iterable[Record], total: int, done: int) -> Iterable[Record]:
    """The same records, with a progress bar on standard error."""
    tqdm = imported("tqdm", "a progress bar", "eval")
    bar: Iterable[Record] = tqdm.tqdm(records, total=total, initial=done, unit="sample", smoothing=0.1)
    return bar
