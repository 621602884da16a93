"""One training from its parts: batches read, weights fitted, the result measured and written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from clipcond.clip.towers import Clip
from clipcond.clip.training import defaults
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.broken import BrokenRows
from clipcond.clip.training.building import trained
from clipcond.clip.training.evaluation import Evaluation, HeldOut, evaluate
from clipcond.clip.training.finishing import check_layout, mix, write
from clipcond.clip.training.folder import open_folder
from clipcond.clip.training.interpolation import Interpolated
from clipcond.clip.training.loading import batches, dead_workers
from clipcond.clip.training.loop import Fitted, fit
from clipcond.clip.training.options import Options
from clipcond.clip.training.pairs import Pairs
from clipcond.clip.training.result import Trained
from clipcond.clip.training.settings import Keeping, Settings
from clipcond.clip.training.stream import Preparation, Stream
from clipcond.files import State

BROKEN = "broken.jsonl"


@dataclass(slots=True)
class Cut:
    """How many captions a process read that lost their ends."""

    captions: int = 0
    of: int = 0

    def add(self, captions: int, of: int) -> None:
        """Count a step's."""
        self.captions += captions
        self.of += of


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training that is about to run.

    Attributes:
        told: what was asked for.
        out: its folder.
        pairs: its data.
        clip: that it begins with; trained in place.
        batch: pictures a step, of all processes.
        settings: what the weights depend on.
        keeping: what is written down on the way.
        accelerator: accelerate's.
    """

    told: Options
    out: Path
    pairs: Pairs
    clip: Clip
    batch: int
    settings: Settings
    keeping: Keeping
    accelerator: Any

    def run(self) -> Trained:
        """Open the folder, train, write."""
        layout = check_layout(self.told.layout, self.clip, self.settings)
        held, unread = self.pairs.held(self.clip.preprocessing)
        lock = self._open()
        try:
            broken = BrokenRows(self.out / BROKEN, len(self.pairs.rows))
            broken.note(unread)
            self._track()
            before = self._before(held)
            begun = self._begun()
            cut = Cut()
            fitted = self._fit(held, broken, cut)
            mixed, after = self._settled(fitted, held, begun)
            found = fitted.evaluation
            if mixed or (found is None and fitted.finished):
                found = self._measured(after, held)
            if fitted.finished and self.accelerator.is_main_process:
                write(after, self.out, layout)
            self.accelerator.wait_for_everyone()
            return Trained(
                folder=self.out,
                digest=after.digest,
                steps=fitted.step,
                minutes=fitted.minutes,
                finished=fitted.finished,
                before=before,
                after=found,
                mixed=mixed,
                broken=len(broken),
                notes=self._notes(fitted, broken, cut),
            )
        finally:
            for tracker in self.accelerator.trackers:
                tracker.finish()
            if lock is not None:
                lock.release()

    def about(self) -> dict[str, Any]:
        """What the weights depend on, JSON-able."""
        return {
            "init": None if self.told.init is None else self.clip.digest,
            "preset": self.told.preset if self.told.init is None else None,
            "architecture": self.clip.architecture.as_dict(),
            **self.pairs.as_dict(),
            "crop": self.told.crop,
            "batch": self.batch,
            "processes": self.accelerator.num_processes,
            **self.settings.as_dict(),
        }

    def _open(self) -> FileLock | None:
        """The folder, by the first process."""
        lock = None
        if self.accelerator.is_main_process:
            lock = open_folder(self.out, self.about(), resume=self.told.resume)
        self.accelerator.wait_for_everyone()
        return lock

    def _track(self) -> None:
        """Begin accelerate's trackers, with the settings that are numbers and texts."""
        about = self.about().items()
        plain = {name: value for name, value in about if isinstance(value, int | float | str)}
        self.accelerator.init_trackers("clipcond", config=plain)

    def _begun(self) -> State | None:
        """The weights before, where they are mixed in at the end."""
        if not self.told.wise_ft:
            return None
        state: State = self.clip.model.state_dict()
        return {name: tensor.detach().clone() for name, tensor in state.items()}

    def _before(self, held: HeldOut | None) -> Evaluation | None:
        """How good a CLIP is that knows something already."""
        if self.told.init is None:
            return None
        self.clip.model.to(self.accelerator.device)
        return self._measured(self.clip, held)

    def _measured(self, clip: Clip, held: HeldOut | None) -> Evaluation | None:
        if held is None:
            return None
        return evaluate(clip, held, workers=self._workers)

    @property
    def _workers(self) -> int:
        gpu = self.accelerator.device.type != "cpu"
        return defaults.workers(gpu=gpu) if self.told.workers is None else self.told.workers

    def _fit(self, held: HeldOut | None, broken: BrokenRows, cut: Cut) -> Fitted:
        preparation = Preparation.of(self.clip, crop=self.told.crop)
        world = self.accelerator.num_processes
        stream = Stream(self.pairs.source, self.pairs.rows, preparation, self.settings.seed)

        def shares(first: int) -> Iterator[Batch]:
            for loaded in batches(
                stream,
                size=self.batch,
                first=first,
                rank=self.accelerator.process_index,
                world=world,
                workers=self._workers,
            ):
                broken.add(loaded)
                cut.add(loaded.cut, len(loaded.batch))
                yield loaded.batch

        # a worker that dies is told of wherever the program is just then
        with dead_workers():
            return fit(
                self.clip,
                shares,
                self.settings,
                accelerator=self.accelerator,
                out=self.out,
                keeping=self.keeping,
                evaluate=None
                if held is None
                else lambda clip: evaluate(clip, held, workers=self._workers),
            )

    def _settled(
        self, fitted: Fitted, held: HeldOut | None, begun: State | None
    ) -> tuple[tuple[Interpolated[Evaluation], ...], Clip]:
        """(how good mixtures with the weights before are, the CLIP that is kept)."""
        mixed: tuple[Interpolated[Evaluation], ...] = ()
        if fitted.finished and begun is not None and held is not None:
            mixed = mix(
                self.clip,
                fitted.towers,
                begun,
                lambda clip: evaluate(clip, held, workers=self._workers),
            )
        return mixed, trained(self.clip, fitted.towers)

    def _notes(self, fitted: Fitted, broken: BrokenRows, cut: Cut) -> tuple[str, ...]:
        lines = [*self.pairs.notes, broken.summary()]
        if cut.captions:
            lines.append(
                f"{cut.captions} of {cut.of} captions of this run were longer than the {self.clip.positions} tokens that the text tower "
                "reads; their ends did not count"
            )
        if not fitted.finished:
            lines.append(
                f"interrupted after step {fitted.step}, which is kept; the same command with --resume goes on from there"
            )
        return tuple(line for line in lines if line)
