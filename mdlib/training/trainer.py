"""The training loop; read `Trainer.fit` first.

A run that is killed at any moment ends with the very weights of one that was never killed: everything that
changes is in a checkpoint (state.TrainState), and everything random follows from the seed and the position.
Several processes train as one; where there is only one, most calls of `self.processes` do nothing.
"""

import math
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from mdlib.modeling.registry import WEIGHTS_NAME, save_model
from mdlib.signals import StopRequest
from mdlib.training.augment import augment, resize, sample_seeds, split_batch
from mdlib.training.checkpoint import Checkpoint, Checkpoints
from mdlib.training.config import Stage, TrainConfig, check_unchanged
from mdlib.training.distributed import Processes, new_accelerator
from mdlib.training.mirror import Mirror
from mdlib.training.optim import learning_rate, momentum, new_losses, set_rates
from mdlib.training.progress import Progress, memory_gb, memory_mb
from mdlib.training.quick_check import quick_check
from mdlib.training.run_folder import Records, RunLock
from mdlib.training.sample_sheet import Shown
from mdlib.training.state import Position, TrainState, own_random_numbers


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
        self.processes = Processes(self.accelerator)
        self.state = TrainState(config, model, self.accelerator, self.processes)
        self.checkpoints = Checkpoints(self.run / "checkpoints", config.keep)
        self.mirror = Mirror(self.checkpoints, config.mirror if self.processes.first else None)
        self.scores: dict[str, float] = {}
        self.stop = StopRequest()
        self.clock = nullcontext  # self.clock(name) is entered for each part of a step; see step_profile

    def fit(self) -> Fitted:
        """Train to the end, from where the run stopped if it did, and save the averaged network in `run`.

        SIGTERM and SIGINT (Ctrl-C, a notebook's stop button) end it after the step at hand, with a checkpoint
        and a sentence that says how to go on.
        Raises ValueError where a setting that must stay is not the run's, FloatingPointError where the loss
        is no number any more, BlockingIOError where another process trains in this folder.
        """
        random_numbers = own_random_numbers(self.config.seed + self.processes.rank, self.state.device)
        with self.processes.by_first(RunLock(self.run)), self.mirror, random_numbers, self.stop:
            resumed = self.resume()
            trained = self.processes.from_first((self.run / WEIGHTS_NAME).exists)
            if trained and (self.progress >= 1 or not resumed):
                self.processes.say(f"{self.run} is finished: to go on, give more steps, epochs or minutes")
                return self.fitted(finished=True)
            if resumed:
                self.processes.say(f"{self.run} goes on from step {self.at.step}")
            self.processes.from_first(self.begin_records)
            with Progress(self.progress, shown=self.processes.first) as self.bar:
                self.check_if_due()  # it may have been stopped in the middle of one
                while self.progress < 1 and not self.stopped():
                    self.train_epoch()
                self.save_checkpoint(last=True)
                self.mirror.warn()
                self.processes.from_first(lambda: self.records.close())
            if name := self.stopped():
                where = f"stopped by {name}, saved at step {self.at.step}"
                self.processes.say(f"{where}: the same command goes on")
                return self.fitted(finished=False)
            model = self.state.average.model
            self.processes.from_first(lambda: save_model(model, self.run, self.description()))
            scores = "".join(f", {name} {mean:.3f}" for name, mean in self.scores.items())
            self.processes.say(f"{self.run} is finished after {self.at.step} steps{scores}")
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
            self.move_on(stage, len(batch["index"]) * self.processes.size)
            with self.clock("log, loss.item()"):
                self.log_if_due()
            self.check_if_due()
            self.save_if_due()
            if self.stopped() or self.progress >= stage.end:
                break

    def stopped(self) -> str | None:
        """The signal that asked to stop, this process or another one."""
        return self.processes.asked(self.stop.name)

    def train_step(self, stored: dict[str, Tensor], stage: Stage) -> None:
        """One step of the optimizer. Nothing waits for a GPU, but pictures that the CPU codes as JPEG."""
        config, state, at = self.config, self.state, self.state.at
        state.optimizer.zero_grad()  # not sooner: a check may look at the gradients of the last step
        with self.clock("to float, resize"):
            batch = resize(self.train_loader.to_float(stored, state.device), stage.size)
        share = self.processes.share(len(batch["mask"]))  # all of the batch, unless there are more processes
        seeds = sample_seeds(share.count, config.seed, at.stage, at.epoch, at.batch)
        with self.clock("augment"):
            batch = augment(batch, seeds[share.start : share.stop], config.augment)
        whole = self.processes.whole(batch, share)
        for part in split_batch(batch, config.accumulate):
            with self.clock("forward"):
                prediction = state.model(part["bg"], part["fg_bg"])
            with self.clock("losses"):
                terms = self.all_losses[stage.index](prediction, part, whole)
            with self.clock("backward"):
                self.accelerator.backward(terms["total"])
            state.add_losses(self.processes.total(terms))
        self.processes.add_gradients(state.network)
        with self.clock("optimizer"):
            if config.clip:
                self.accelerator.clip_grad_norm_(state.network.parameters(), config.clip)
            state.optimizer.step()
        with self.clock("average"):
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
        self.at.elapsed_s = self.processes.latest(self.elapsed_before_s + time.monotonic() - self.started)
        if self.at.plateau.lasts(self.config.stop_checks):
            return 1.0
        passes = self.at.passes + self.at.batch / len(self.train_loader)
        return self.config.progress(self.at.step, passes, self.at.elapsed_s)

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
        look_at = self.state.average.model, self.val_loader, self.config.check_pairs, self.stages[-1].size
        scores = self.processes.from_first(lambda: quick_check(*look_at, self.stop, self.show))
        if scores is None:  # asked to stop: it is done when the run goes on
            return
        self.at.checks, self.scores = due, scores
        self.at.plateau.add(scores["iou_disturbed"], self.config.plateau_checks, self.config.drop)
        if self.at.plateau.lasts(self.config.stop_checks):  # then this was the last one
            self.progress, self.at.checks = 1.0, self.config.checks
        self.record({"step": self.at.step, "scores": scores, "elapsed_s": round(self.at.elapsed_s, 1)})
        self.checked_step, self.saved_step = self.at.step, None
        self.save_checkpoint()
        self.bar.restart_pace()

    def show(self, shown: Shown) -> None:
        """Samples of a check as a sheet and, on request, histograms of the weights."""
        self.records.add_sheet(self.at.step, shown, self.state.network if self.config.histograms else None)

    def save_if_due(self) -> None:
        """A checkpoint every `checkpoint_steps` steps and every `checkpoint_minutes` minutes."""
        by_steps = self.config.checkpoint_steps and self.at.step % self.config.checkpoint_steps == 0
        if by_steps or self.at.elapsed_s - self.saved_at_s > 60 * self.config.checkpoint_minutes:
            self.save_checkpoint()
        self.mirror.warn()

    def save_checkpoint(self, last: bool = False) -> None:
        """Write everything that changes; nothing to do where this step was saved.

        Where it cannot be written, as on a full disk, training goes on; if it is the `last` one, OSError.
        """
        self.measure_progress()  # takes the time
        self.saved_at_s = self.at.elapsed_s
        if self.at.step == self.saved_step:
            return
        self.state.mean_losses()  # raises where the weights are not worth saving
        tensors = self.state.tensors()
        saved = self.processes.from_first(lambda: self.write_checkpoint(tensors, last))
        self.saved_step = self.at.step if saved else None

    def write_checkpoint(self, tensors: dict[str, Tensor], last: bool) -> bool:
        """Whether it could be written."""
        content = {
            "run_id": self.records.run_id,
            "fixed": self.fixed,
            "position": asdict(self.at),
            "scores": self.scores,
            "score": self.scores["iou_disturbed"] if self.at.step == self.checked_step else None,
        }
        try:
            self.checkpoints.save(self.at.step, tensors, content, self.records.metrics)
        except OSError as error:
            if last:
                raise
            warnings.warn(f"step {self.at.step} is not saved ({error}); training goes on", stacklevel=2)
            return False
        self.mirror.wake()
        return True

    def resume(self) -> bool:
        """Take up the newest sound checkpoint; False where there is none and the run begins."""
        found = self.processes.from_first(self.find_checkpoint)
        at = Position(**found.state["position"]) if found else Position()
        self.load(self.stages[min(at.stage, len(self.stages) - 1)])
        if found:
            check_unchanged(found.state["fixed"], self.fixed)
            self.state.restore(found.tensors)
            self.scores = found.state["scores"]
        self.at = self.state.at = at
        self.metrics_before = found.metrics if found else b""
        self.started, self.elapsed_before_s = time.monotonic(), at.elapsed_s
        self.saved_at_s, self.saved_step, self.checked_step = at.elapsed_s, at.step if found else None, None
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
        self.processes.divide(self.train_loader, stage.batch_size, self.config.accumulate)
        if any(stage.freeze for stage in self.stages):
            self.state.freeze(stage.freeze)
        data = self.train_loader.dataset
        self.fixed = self.config.fixed(len(data), getattr(data, "dataset_id", None))
        if len(self.train_loader) == 0:
            advice = "take a smaller batch_size or a larger data set"
            raise ValueError(f"{len(data)} training samples make no batch of {stage.batch_size}: {advice}")

    def begin_records(self) -> None:
        network = {"name": self.state.network.name, "options": self.state.network.options}
        events = self.config.histograms or self.config.tensorboard
        self.records.begin({**network, **self.description()}, self.metrics_before, events)

    def record(self, row: dict[str, Any]) -> None:
        """Write a row of metrics."""
        if self.processes.first:
            self.records.add_metrics(row)

    def description(self) -> dict[str, Any]:
        """What config.json says about the run, beside the network's name and options."""
        run_id, step = self.records.run_id, self.at.step
        return {"run_id": run_id, "step": step, "scores": self.scores, "training": self.config.as_json()}

    def fitted(self, finished: bool) -> Fitted:
        return Fitted(self.run, self.at.step, finished, self.scores)
