"""A run killed with SIGKILL, and started again with the same command."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import torch


def test_a_killed_run_ends_like_one_that_was_not(
    train_script, tiny_dataset, fit, reference, reference_settings, same_end, tmp_path
):
    run, rng = tmp_path / "run", random.Random(0)
    command = [sys.executable, str(train_script), str(tiny_dataset), str(run), json.dumps(reference_settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    for target in (4, 17):  # steps that must be saved before the kill
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            saved = [int(path.name[5:]) for path in run.glob("checkpoints/step-????????")]
            if max(saved, default=0) >= target:
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.2))
        assert process.poll() is None, f"it ended before it could be killed: {process.communicate()[1]}"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (run / "model.safetensors").exists()
    assert fit(run, **reference_settings).finished
    same_end(run, reference)
    assert [path.name for path in (run / "checkpoints").glob(".*")] == []  # nothing half written is left
