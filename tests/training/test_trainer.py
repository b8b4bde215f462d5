import json
import os
import shutil
import signal
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdlib.loading.loader import make_loader
from mdlib.modeling.networks.base import MaskDepth
from mdlib.modeling.registry import create_model, load_model
from mdlib.training.checkpoint import Checkpoints, pack, read
from mdlib.training.config import Stage


def steps_saved(run) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in Checkpoints(run / "checkpoints").paths()]


def signal_at(number, *place):
    """Sends this process a signal before the batch at `place`: epoch, number."""

    def before(epoch, batch_number, batch):
        if (epoch, batch_number) == place:
            os.kill(os.getpid(), number)

    return before


def during(actions):
    """Does something before each of some batches of every epoch: {number: function}."""
    return lambda epoch, number, batch: actions.get(number, lambda: None)()


def test_the_loss_falls(fit, tmp_path, metric_rows):
    fit(tmp_path, steps=40, augment=0.0, checks=0)
    totals = [row["losses"]["total"] for row in metric_rows(tmp_path)]
    assert len(totals) == 8
    assert totals[-1] < 0.75 * totals[0]


def test_a_finished_run_is_a_saved_model(reference):
    model = load_model(reference)
    checkpoint = read(Checkpoints(reference / "checkpoints").paths()[-1])
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, checkpoint.tensors[f"average.{name}"])
    weight = next(iter(dict(model.named_parameters())))
    assert not torch.equal(checkpoint.tensors[f"average.{weight}"], checkpoint.tensors[f"model.{weight}"])
    config = json.loads((reference / "config.json").read_bytes())
    assert (config["name"], config["step"], config["training"]["stages"]) == ("mdnet", 30, "32:0.8,48:0.2:3")


def test_metrics_have_losses_scores_and_both_stages(reference, metric_rows):
    rows = metric_rows(reference)
    losses = [row for row in rows if "losses" in row]
    assert [row["step"] for row in losses] == [5, 10, 15, 20, 24, 25, 30]  # no row mixes two stages
    assert [row["stage"] for row in losses] == [0, 0, 0, 0, 0, 1, 1]
    names = {"mask_bce", "mask_dice", "depth_l1", "depth_log_l1", "depth_gradient", "total"}
    assert names == set(losses[0]["losses"])
    scores = [row for row in rows if "scores" in row]
    assert [row["step"] for row in scores] == [15, 30]
    assert set(scores[0]["scores"]) == {"iou", "iou_disturbed", "depth_error"}


def test_a_finished_run_says_so_and_stays(reference, fit, reference_settings, capsys):
    before = {path: path.stat().st_mtime_ns for path in reference.rglob("*")}
    fitted = fit(reference, **reference_settings)
    assert fitted.finished
    assert fitted.step == 30
    assert "is finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in reference.rglob("*")} == before


def test_a_finished_run_without_checkpoints_stays(reference, fit, reference_settings, tmp_path):
    run = shutil.copytree(reference, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    assert fit(run, **reference_settings).finished
    assert (run / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("number", "which", "epoch", "batch", "saved_step"),
    [
        (signal.SIGTERM, "train", 0, 6, 7),
        (signal.SIGINT, "train", 2, 2, 27),  # after the change of size
        (signal.SIGTERM, "check", 0, 0, 15),  # amid the first check
    ],
)
def test_asked_to_stop_it_saves_and_goes_on(
    watched,
    fit,
    loaders,
    reference,
    reference_settings,
    same_end,
    tmp_path,
    capsys,
    number,
    which,
    epoch,
    batch,
    saved_step,
):
    def signalling(stage):
        train, check = loaders(stage)
        if which == "train":
            return watched(train, signal_at(number, epoch, batch)), check
        return train, watched(check, signal_at(number, epoch, batch))

    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    fitted = fit(tmp_path, make_loaders=signalling, **reference_settings)
    assert (fitted.finished, fitted.step) == (False, saved_step)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    said = capsys.readouterr().out
    assert f"saved at step {saved_step}: the same command goes on" in said
    assert steps_saved(tmp_path)[-1] == saved_step
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 99, "los')  # as one that is killed amid a row leaves it
    assert fit(tmp_path, **reference_settings).finished
    assert f"goes on from step {saved_step}" in capsys.readouterr().out
    same_end(tmp_path, reference)


def damage_tensors(path):
    data = (path / "state.safetensors").read_bytes()
    (path / "state.safetensors").write_bytes(data[: len(data) // 2])


def damage_a_bit(path):
    data = bytearray((path / "state.safetensors").read_bytes())
    data[len(data) // 2] ^= 4
    (path / "state.safetensors").write_bytes(data)


def lose_a_file(path):
    (path / "state.json").unlink()


def bring_a_foreign_one(path):
    found = read(path)
    shutil.rmtree(path)
    foreign = pack(found.tensors, {**found.state, "run_id": "other"}, found.metrics)
    Checkpoints(path.parent).put(path.name, foreign)


@pytest.mark.parametrize("harm", [damage_tensors, damage_a_bit, lose_a_file, bring_a_foreign_one])
def test_a_bad_newest_checkpoint_is_named_and_the_one_before_taken(
    fit, reference, reference_settings, same_end, tmp_path, harm
):
    run = shutil.copytree(reference, tmp_path / "run")
    (run / "model.safetensors").unlink()
    newest = run / "checkpoints/step-00000030"
    harm(newest)
    with pytest.warns(UserWarning, match="checkpoint .*step-00000030 is left out"):
        assert fit(run, **reference_settings).finished
    same_end(run, reference)
    assert newest.with_name("step-00000030.rejected-1").is_dir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 8}, "batch_size 4 and cannot go on with 8"),
        ({"seed": 1}, "seed 0 and cannot go on with 1"),
        ({"optimizer": "sgd"}, "optimizer 'adamw' and cannot go on with 'sgd'"),
        ({"stages": "", "size": 32}, "stages '32:0.8,48:0.2:3' and cannot go on with ''"),
    ],
)
def test_what_cannot_change_is_an_error_that_names_both_values(
    fit, reference, reference_settings, change, message
):
    with pytest.raises(ValueError, match=message) as raised:
        fit(reference, **{**reference_settings, **change})
    assert "what may change: mirror, loss, steps, epochs" in str(raised.value)


def test_another_number_of_samples_is_an_error(fit, loaders, reference, reference_settings):
    def fewer(stage):
        train, check = loaders(stage)
        kept = len(train.dataset) - 8
        train.dataset = train.dataset.subset(range(kept))
        return train, check

    with pytest.raises(ValueError, match=r"number of training samples \d+ and cannot go on with \d+"):
        fit(reference, make_loaders=fewer, **reference_settings)


def test_a_checkpoint_of_another_version_of_the_network_is_an_error(fit, tmp_path):
    fit(tmp_path, model=create_model("conv2-mask"), steps=4)
    before = (tmp_path / "model.safetensors").read_bytes()
    newer = create_model("conv2-mask")
    newer.mask_decoder.extend([nn.ReLU(), nn.Conv2d(1, 1, 1)])
    with pytest.raises(ValueError, match="checkpoint is of another network or version") as raised:
        fit(tmp_path, model=newer, steps=8)
    layer = len(newer.mask_decoder) - 1
    for words in (f"mask_decoder.{layer}.bias is missing", "train in another folder"):
        assert words in str(raised.value)
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_a_run_goes_on_beyond_its_end_with_more_steps(fit, tmp_path, metric_rows):
    fit(tmp_path, steps=4, log_every=2, checks=1)
    fitted = fit(tmp_path, steps=8, log_every=2, checks=1, lr=1e-3, workers=1)
    assert (fitted.step, fitted.finished) == (8, True)
    assert [row["step"] for row in metric_rows(tmp_path) if "losses" in row] == [2, 4, 6, 8]
    assert json.loads((tmp_path / "config.json").read_bytes())["step"] == 8


def test_epochs_end_a_run(fit, loaders, tmp_path):
    steps_per_epoch = len(loaders(Stage(0, 32, 0, 1, 4))[0])
    assert fit(tmp_path, epochs=0.5, checks=0).step == round(0.5 * steps_per_epoch)


def test_minutes_end_a_run_and_its_schedule(fit, tmp_path):
    fitted = fit(tmp_path, minutes=0.03, log_every=1, checks=0)
    assert fitted.finished
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["elapsed_s"] >= 0.03 * 60
    assert rows[-1]["lr"] < 0.5 * max(row["lr"] for row in rows)


def test_sgd_and_bf16_train_too(fit, tmp_path):
    settings = {"optimizer": "sgd", "lr": 0.01, "precision": "bf16", "checks": 0, "ema": 0.0, "clip": 0.0}
    assert fit(tmp_path, steps=2, **settings).finished
    assert fit(tmp_path, steps=4, **settings).finished
    tensors = read(Checkpoints(tmp_path / "checkpoints").paths()[-1]).tensors
    for name, weight in load_model(tmp_path).state_dict().items():
        assert torch.equal(weight, tensors[f"model.{name}"])  # without averaging the average is the network


class Dropping(nn.Module):
    """A network that draws random numbers while it is trained."""

    name, options = "dropping", {}

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 2, 3, padding=1)
        nn.init.constant_(self.conv.weight, 0.01)
        nn.init.zeros_(self.conv.bias)

    def forward(self, bg, fg_bg):
        mask_logits, depth = self.conv(F.dropout(torch.cat([bg, fg_bg], 1), 0.5, self.training)).chunk(2, 1)
        return MaskDepth(mask_logits, depth.sigmoid())


def test_what_a_network_draws_goes_on_too(watched, fit, loaders, tmp_path, same_end):
    def signalling(stage):
        train, check = loaders(stage)
        return watched(train, signal_at(signal.SIGTERM, 0, 3)), check

    fit(tmp_path / "one", model=Dropping(), steps=8)
    assert not fit(tmp_path / "two", model=Dropping(), steps=8, make_loaders=signalling).finished
    assert fit(tmp_path / "two", model=Dropping(), steps=8).finished
    same_end(tmp_path / "one", tmp_path / "two")


def test_the_callers_random_numbers_are_left_alone(fit, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(tmp_path, steps=1, checks=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_loss_that_is_no_number_ends_the_run_without_saving_it(fit, tmp_path):
    with pytest.raises(FloatingPointError, match="take a lower lr"):
        fit(tmp_path, steps=20, optimizer="sgd", lr=1e30, warmup=0.0, clip=0.0, checks=0)
    assert steps_saved(tmp_path) == []


def test_training_goes_on_where_a_checkpoint_cannot_be_written(watched, fit, loaders, tmp_path):
    file = tmp_path / "checkpoints"
    file.write_text("no folder")

    def make_loaders(stage):
        train, check = loaders(stage)
        return watched(train, during({8: file.unlink})), check

    with pytest.warns(UserWarning, match=r"step \d is not saved \(.*checkpoints") as warned:
        assert fit(tmp_path, make_loaders=make_loaders, steps=10, checkpoint_steps=3, checks=2).finished
    assert len(warned) == 3  # steps 3, 5 (a check), 6
    assert steps_saved(tmp_path) == [9, 10]


def test_training_goes_on_while_the_disk_is_full(
    watched, fit, loaders, small_drive, tmp_path, same_end, wait_until
):
    """From batch 5 to batch 26 neither checkpoints nor metrics can be written."""
    run, filler = small_drive / "run", small_drive / "filler"
    settings = {"steps": 30, "batch_size": 2, "checkpoint_steps": 3, "log_every": 1, "keep": 2}

    def fill():
        wait_until(lambda: steps_saved(run) == [3], 60)
        with open(filler, "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))

    def free():
        assert steps_saved(run) == [3]
        filler.unlink()

    def make_loaders(stage):
        train, check = loaders(stage)
        return watched(train, during({5: fill, 26: free})), check

    with pytest.warns(UserWarning, match="No space left") as warned:
        assert fit(run, make_loaders=make_loaders, model=Dropping(), **settings).finished
    said = {str(warning.message).split(" (")[0] for warning in warned}
    assert f"{run / 'metrics.jsonl'} is not written" in said
    assert any(what.endswith("is not saved") for what in said)
    assert steps_saved(run)[-1] == 30
    assert fit(tmp_path / "whole", model=Dropping(), **settings).finished
    same_end(run, tmp_path / "whole")


def test_a_checkpoint_that_is_needed_must_be_written(fit, tmp_path):
    (tmp_path / "checkpoints").write_text("no folder")
    with pytest.raises(FileExistsError, match="checkpoints"):
        fit(tmp_path, steps=1, checks=0)
    assert not (tmp_path / "model.safetensors").exists()


def test_too_few_samples_for_a_batch(fit, loaders, tmp_path):
    def dropping(stage):
        train, check = loaders(stage)
        return make_loader(train.dataset, stage.batch_size, drop_last=True), check

    with pytest.raises(ValueError, match="training samples make no batch of 1000"):
        fit(tmp_path, steps=1, batch_size=1000, make_loaders=dropping)


def test_an_unknown_loss_is_named(fit, tmp_path):
    with pytest.raises(ValueError, match="unknown loss 'nonsense'; there are 'mdnet'"):
        fit(tmp_path, steps=1, loss="nonsense")


def test_a_folder_with_a_network_that_is_no_run_is_left_alone(fit, tmp_path):
    (tmp_path / "config.json").write_text('{"name": "mdnet", "options": {}}')
    with pytest.raises(ValueError, match="holds something else than a run"):
        fit(tmp_path, steps=1)


def test_what_may_change_can_change(fit, reference_settings, tmp_path):
    run, mirror = tmp_path / "run", tmp_path / "mirror"
    fit(run, **{**reference_settings, "steps": 6, "checks": 1})
    changed = {
        "steps": 9, "epochs": 5.0, "minutes": 9.0, "lr": 1e-3, "schedule": "constant", "warmup": 0.1,
        "weight_decay": 0.0, "clip": 0.5, "ema": 0.9, "augment": 0.5, "checks": 2, "check_pairs": 4,
        "checkpoint_steps": 2, "checkpoint_minutes": 1.0, "keep": 5, "log_every": 2, "workers": 1,
        "precision": "bf16", "mirror": mirror,
    }  # fmt: skip
    assert fit(run, **{**reference_settings, **changed}).step == 9
    assert (mirror / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_a_run_that_another_process_trains_is_left_alone(fit, reference_settings, tmp_path):
    said = {"host": "elsewhere", "pid": 12, "alive": time.time()}
    (tmp_path / "lock.json").write_text(json.dumps(said))
    with pytest.raises(BlockingIOError, match="is being trained by process 12 on elsewhere"):
        fit(tmp_path, **reference_settings)
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def test_training_goes_on_without_its_mirror(
    watched, fit, loaders, tmp_path, same_end, reference, reference_settings, wait_until
):
    mirror = tmp_path / "drive/run"
    mirror.parent.mkdir()
    away = tmp_path / "away"

    def noticed():
        record = tmp_path / "run/mirror.json"
        return record.exists() and json.loads(record.read_text())["trouble"]

    def come_back():
        wait_until(noticed, 60, lambda: "nobody noticed that the mirror left")
        away.rename(mirror.parent)

    def make_loaders(stage):
        actions = {4: lambda: mirror.parent.rename(away), 12: come_back}
        train, check = loaders(stage)
        return watched(train, during(actions if stage.index == 0 and mirror.exists() else {})), check

    mirror.mkdir()
    with pytest.warns(UserWarning, match="the mirror .* does not work .*: training goes on") as warned:
        assert fit(tmp_path / "run", make_loaders=make_loaders, mirror=mirror, **reference_settings).finished
    assert len(warned) == 1
    same_end(tmp_path / "run", reference)
    same_end(mirror, reference)


def test_a_lost_run_folder_goes_on_from_its_mirror(
    watched, fit, loaders, tmp_path, same_end, reference, reference_settings, capsys
):
    def signalling(stage):
        train, check = loaders(stage)
        return watched(train, signal_at(signal.SIGTERM, 0, 9)), check

    run, mirror = tmp_path / "run", tmp_path / "mirror"
    assert not fit(run, make_loaders=signalling, mirror=mirror, **reference_settings).finished
    shutil.rmtree(run)
    assert fit(run, mirror=mirror, **reference_settings).finished
    assert "goes on from step 10" in capsys.readouterr().out
    same_end(run, reference)
    same_end(mirror, reference)
