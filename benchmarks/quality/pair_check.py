"""How well viewing.pair_check notices pictures of different places, and swapped ones.

python -m benchmarks.quality.pair_check DATA ... [--pairs 40]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from mdlib.evaluation.disturb import disturb
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.viewing.pair_check import SAME_PLACE, SWAPPED, check_pair

CONDITIONS = ("clean", "exposure", "noise", "shadow", "shift", "homography", "camouflage")


def picture(x: torch.Tensor) -> np.ndarray:
    """(1,3,H,W) in [0, 1] to (H,W,3) uint8."""
    return (x[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def measure(data: SceneDataset, condition: str, chosen: np.ndarray) -> np.ndarray:
    """(pairs, 2): agreement and edges of the samples `chosen` under a disturbance, or with another place."""
    rows = []
    for i in chosen.tolist():
        sample = data[i]
        bg, fg_bg, mask = (sample[kind][None] / 255 for kind in ("bg", "fg_bg", "mask"))
        if condition == "another place":
            others = np.flatnonzero(data.bg != data.bg[i])
            bg = data[int(others[(i * 7919) % len(others)])]["bg"][None] / 255
        else:
            bg, fg_bg = disturb(condition, bg, fg_bg, mask, [i])
        rows.append(check_pair(picture(bg), picture(fg_bg))[:2])
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=40)
    arguments = parser.parse_args()
    print("| data | condition | agreement | taken for other places | taken for swapped | swapped, noticed |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for path in arguments.data:
        data = open_dataset(path)
        chosen = np.random.default_rng(1).integers(0, len(data), arguments.pairs)
        for condition in (*CONDITIONS, "another place"):
            agreement, edges = measure(data, condition, chosen).T
            shares = ((agreement < SAME_PLACE).mean(), (edges < SWAPPED).mean(), (-edges < SWAPPED).mean())
            cells = [f"{agreement.min():.2f} to {agreement.max():.2f}", *(f"{share:.0%}" for share in shares)]
            print(f"| {path.name} | {condition} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
