"""The training loop; read `Trainer.fit` first.

A run that is killed at any moment ends with the very weights of one that was never killed: everything that
changes is in a checkpoint (state.TrainState), and everything random follows from the seed and the position.
Several processes train as one; where there is only one, most calls of `self.team` do nothing (several.Team).
"""

import math
import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from mdlib.modeling.registry import WEIGHTS_NAME, save_model
from mdlib.signals import StopRequest
from mdlib.training.augment import augment, resize, sample_seeds, split_batch
from mdlib.training.checkpoint import Checkpoint, Checkpoints
from mdlib.training.config import Stage, TrainConfig, check_unchanged
from mdlib.training.distributed import Team
from mdlib.training.file_image import file_image
from mdlib.training.lock import RunLock
from mdlib.training.memory import memory_gb, memory_mb
from mdlib.training.mirror import Mirror
from mdlib.training.optim import new_accelerator, new_losses, set_rates
from mdlib.training.progress import Progress
from mdlib.training.quick_check import quick_check
from mdlib.training.run_folder import Records
from mdlib.training.sample_sheet import Shown
from mdlib.training.saver import Saver, Snapshot
from mdlib.training.schedule import learning_rate, momentum
from mdlib.training.state import Position, TrainState, own_random_numbers
from mdlib.training.tensorboard_log import open_board


class Fitted(NamedTuple):
    """How `Trainer.fit` ended: the run's folder, steps done, is it finished, the last quick check."""

    run: Path
    step: int
    finished: bool
    scores: dict[str, float]


class Trainer:
    """Trains `model`, such as `run.new_model(config)` makes, as `config` says.

    `make_loaders(stage)` gives (train_loader, validation_loader) for a config.Stage, in its `size` and
    `batch_size`. A loader has `len`, `dataset`, `set_epoch(epoch, start)`, iteration over batches and
    `to_float(batch, device)`; see loading.loader. Where its pictures are larger, they are made smaller here
    (augment.resize). The validation loader should shuffle: only its first samples are looked at, always in
    the size of the last stage, so that scores can be compared.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, make_loaders: Callable[[Stage], tuple]):
        self.config, self.make_loaders, self.run = config, make_loaders, Path(config.run)
        self.stages = config.all_stages()
        self.all_losses = [new_losses(stage.loss or config.loss, stage.freeze) for stage in self.stages]
        self.accelerator = new_accelerator(config)
        self.team = Team(self.accelerator)
        self.state = TrainState(config, model, self.accelerator, self.team)
        self.problems: deque[str] = deque()  # of the threads that save and mirror
        self.checkpoints = Checkpoints(self.run / "checkpoints", config.keep)
        self.mirror = Mirror(self.checkpoints, config.mirror if self.team.first else None, self.problems)
        self.saver = Saver(self.checkpoints, self.problems, saved=self.mirror.wake)
        self.scores: dict[str, float] = {}
        self.stop = StopRequest()

    def fit(self) -> Fitted:
        """Train to the end, from where the run stopped if it did, and save the averaged network in `run`.

        SIGTERM and SIGINT (Ctrl-C, a notebook's stop button) end it after the step at hand, with a checkpoint
        and a sentence that says how to go on.
        Raises ValueError where a setting that must stay is not the run's, FloatingPointError where the loss
        is no number any more, BlockingIOError where another process trains in this folder.
        """
        random_numbers = own_random_numbers(self.config.seed + self.team.rank, self.state.device)
        with self.team.by_first(RunLock(self.run)), self.mirror, self.saver, random_numbers, self.stop:
            resumed = self.resume()
            trained = self.team.from_first((self.run / WEIGHTS_NAME).exists)
            if trained and (self.progress >= 1 or not resumed):
                self.team.say(f"{self.run} is finished: to go on, give more steps, epochs or minutes")
                return self.fitted(finished=True)
            if resumed:
                self.team.say(f"{self.run} goes on from step {self.at.step}")
            self.team.from_first(self.begin_records)
            with Progress(self.progress, shown=self.team.first) as self.bar:
                self.check_if_due()  # it may have been stopped in the middle of one
                while self.progress < 1 and not self.stopped():
                    self.train_epoch()
                self.save_checkpoint()
                self.team.from_first(self.saver.finish)
                self.warn_of_problems()
            if name := self.stopped():
                self.team.say(f"stopped by {name}, saved at step {self.at.step}: the same command goes on")
                return self.fitted(finished=False)
            model = self.state.average.model
            self.team.from_first(lambda: save_model(model, self.run, self.description()))
            scores = "".join(f", {name} {mean:.3f}" for name, mean in self.scores.items())
            self.team.say(f"{self.run} is finished after {self.at.step} steps{scores}")
            return self.fitted(finished=True)

    def train_epoch(self) -> None:
        """The rest of this epoch, or less where a stage ends or a signal asks to stop."""
        stage = self.stages[self.at.stage]
        if stage is not self.loaded_stage:
            self.load(stage)
        self.train_loader.set_epoch(self.at.epoch, start=self.at.batch)
        for batch in self.bar.waiting(self.train_loader):
            rate = learning_rate(self.config, self.progress, self.config.highest_lr(stage), self.at.plateau)
            set_rates(self.state.optimizer, rate, momentum(self.config, self.progress))
            self.train_step(batch, stage)
            self.move_on(stage, len(batch["index"]) * self.team.size)
            self.log_if_due()
            self.check_if_due()
            self.save_if_due()
            if self.stopped() or self.progress >= stage.end:
                break

    def stopped(self) -> str | None:
        """The signal that asked to stop, this process or another one of the team."""
        return self.team.asked(self.stop.name)

    def train_step(self, stored: dict[str, Tensor], stage: Stage) -> None:
        """One step of the optimizer. Nothing waits for a GPU, but pictures that the CPU codes as JPEG."""
        config, state, at = self.config, self.state, self.state.at
        state.optimizer.zero_grad()  # not sooner: a check may look at the gradients of the last step
        batch = resize(self.train_loader.to_float(stored, state.device), stage.size)
        share = self.team.share(len(batch["mask"]))  # all of the batch, unless there are more processes
        seeds = sample_seeds(share.count, config.seed, at.stage, at.epoch, at.batch)
        batch = augment(batch, seeds[share.start : share.stop], config.augment)
        whole = self.team.whole(batch, share)
        for part in split_batch(batch, config.accumulate):
            prediction = state.model(part["bg"], part["fg_bg"])
            terms = self.all_losses[stage.index](prediction, part, whole)
            self.accelerator.backward(terms["total"])
            state.add_losses(self.team.total(terms))
        self.team.add_gradients(state.network)
        if config.clip:
            self.accelerator.clip_grad_norm_(state.network.parameters(), config.clip)
        state.optimizer.step()
        state.average.update(at.step)

    def move_on(self, stage: Stage, samples: int) -> None:
        """Advance the position by the step just done. A new stage begins with a new epoch."""
        at = self.at
        at.step, at.batch = at.step + 1, at.batch + 1
        self.progress = self.measure_progress()
        stage_ends = self.progress >= stage.end and stage is not self.stages[-1]
        if stage_ends or at.batch == len(self.train_loader):
            at.passes += at.batch / len(self.train_loader)
            at.epoch, at.batch = at.epoch + 1, 0
        if stage_ends:
            at.stage += 1
        self.bar.move_to(self.progress, samples)

    def measure_progress(self) -> float:
        self.at.elapsed_s = self.team.latest(self.elapsed_before_s + time.monotonic() - self.started)
        if self.no_better():
            return 1.0
        passes = self.at.passes + self.at.batch / len(self.train_loader)
        return self.config.progress(self.at.step, passes, self.at.elapsed_s)

    def no_better(self) -> bool:
        """Whether the run ends early, because the checks became no better for so long."""
        return 0 < self.config.stop_checks <= self.at.plateau.waited

    def log_if_due(self) -> None:
        """A row of mean losses every `log_every` steps, and at the end of each stage."""
        at, stage = self.at, self.loaded_stage
        if at.step % self.config.log_every and self.progress < stage.end:
            return
        losses, pace, memory = self.state.mean_losses(), self.bar.pace(), memory_mb(self.state.device)
        self.state.sums, at.logged_step = {}, at.step
        row = {"step": at.step, "epoch": at.epoch, "stage": stage.index}
        row |= {"lr": self.state.optimizer.param_groups[0]["lr"], "losses": losses}
        self.record({**row, "elapsed_s": round(at.elapsed_s, 1), **pace, "memory_mb": memory})
        self.bar.tell({"step": at.step, **losses, **pace, **self.scores, **memory_gb(memory)})

    def check_if_due(self) -> None:
        """A quick look at the validation set, evenly over the run; each is followed by a checkpoint."""
        due = math.floor(min(1.0, self.progress) * self.config.checks)
        if due <= self.at.checks:
            return
        about = self.config.check_pairs, self.stages[-1].size, self.stop, self.show
        scores = self.team.from_first(lambda: quick_check(self.state.average.model, self.val_loader, *about))
        if scores is None:  # asked to stop: it is done when the run goes on
            return
        self.at.checks, self.scores = due, scores
        self.at.plateau.add(scores["iou_disturbed"], self.config.plateau_checks, self.config.drop)
        if self.no_better():  # then this was the last one
            self.progress, self.at.checks = 1.0, self.config.checks
        elapsed_s = round(self.at.elapsed_s, 1)
        self.record({"step": self.at.step, "scores": scores, "elapsed_s": elapsed_s})
        self.save_checkpoint(score=scores["iou_disturbed"])
        self.bar.restart_pace()

    def show(self, shown: Shown) -> None:
        """Samples of a check as a sheet and, on request, histograms of the weights."""
        self.records.add_sheet(self.at.step, shown)
        if self.config.histograms:
            self.records.add_weights(self.at.step, self.state.network)

    def save_if_due(self) -> None:
        """A checkpoint every `checkpoint_steps` steps and every `checkpoint_minutes` minutes."""
        by_steps = self.config.checkpoint_steps and self.at.step % self.config.checkpoint_steps == 0
        if by_steps or self.at.elapsed_s - self.saved_at_s > 60 * self.config.checkpoint_minutes:
            self.save_checkpoint()
        self.warn_of_problems()

    def warn_of_problems(self) -> None:
        """What went wrong in the threads that save and mirror; training goes on."""
        while self.problems:
            warnings.warn(self.problems.popleft(), stacklevel=2)

    def save_checkpoint(self, score: float | None = None) -> None:
        """Copy everything that changes, for the saver to write; nothing to do where this step was copied."""
        self.measure_progress()  # takes the time
        self.saved_at_s = self.at.elapsed_s
        if self.at.step == self.saved_step and score is None:
            return
        self.state.mean_losses()  # raises where the weights are not worth saving
        self.saved_step, tensors = self.at.step, self.state.tensors()
        if not self.team.first:
            return
        content = {
            "run_id": self.records.run_id,
            "fixed": self.config.fixed(len(self.train_loader.dataset)),
            "position": asdict(self.at),
            "scores": self.scores,
            "score": score,
        }
        self.saver.offer(Snapshot(self.at.step, file_image(tensors), content, self.records.metrics))

    def resume(self) -> bool:
        """Take up the newest sound checkpoint; False where there is none and the run begins."""
        found = self.team.from_first(self.find_checkpoint)
        at = Position(**found.state["position"]) if found else Position()
        self.load(self.stages[min(at.stage, len(self.stages) - 1)])
        if found:
            check_unchanged(found.state["fixed"], self.config.fixed(len(self.train_loader.dataset)))
            self.state.restore(found.tensors)
            self.scores = found.state["scores"]
        self.at = self.state.at = at
        self.metrics_before = found.metrics if found else b""
        self.started, self.elapsed_before_s = time.monotonic(), at.elapsed_s
        self.saved_at_s, self.saved_step = at.elapsed_s, at.step if found else None
        self.progress = self.measure_progress()
        # A run that was given a longer end is less far than it was.
        at.checks = min(at.checks, math.floor(self.progress * self.config.checks))
        return found is not None

    def find_checkpoint(self) -> Checkpoint | None:
        """The newest sound one, of the run folder or its mirror."""
        self.records = Records(self.run)
        found = self.mirror.begin(self.records, self.checkpoints.latest(self.records.found_id))
        if found:
            self.records.run_id = found.state["run_id"]
        return found

    def load(self, stage: Stage) -> None:
        """Get the loaders of a stage; raises ValueError where there is no batch to train on."""
        self.train_loader, self.loaded_stage = self.make_loaders(stage)[0], stage
        self.val_loader = self.make_loaders(self.stages[-1])[1]
        self.team.divide(self.train_loader, stage.batch_size, self.config.accumulate)
        if any(stage.freeze for stage in self.stages):
            self.state.freeze(stage.freeze)
        if len(self.train_loader) == 0:
            samples = len(self.train_loader.dataset)
            raise ValueError(
                f"{samples} training samples make no batch of {stage.batch_size}: "
                "take a smaller batch_size or a larger data set"
            )

    def begin_records(self) -> None:
        network = {"name": self.state.network.name, "options": self.state.network.options}
        board = open_board(self.run / "events", self.config.histograms or self.config.tensorboard)
        self.records.begin({**network, **self.description()}, self.metrics_before, board)

    def record(self, row: dict[str, Any]) -> None:
        """Write a row of metrics."""
        if self.team.first:
            self.records.add_metrics(row)

    def description(self) -> dict[str, Any]:
        """What config.json says about the run, beside the network's name and options."""
        run_id, step = self.records.run_id, self.at.step
        return {"run_id": run_id, "step": step, "scores": self.scores, "training": self.config.as_json()}

    def fitted(self, finished: bool) -> Fitted:
        return Fitted(self.run, self.at.step, finished, self.scores)
