"""What one update of each panel costs at 224 px: from a moved control to the finished page.

python -m benchmarks.speed.panels
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from mdlib.creation.sources.pictures import prop_cutouts, room_backgrounds
from mdlib.evaluation.disturb import ADJUSTABLE
from mdlib.modeling.registry import create_model
from mdlib.viewing.panels.data import DataPanel
from mdlib.viewing.panels.effects import EFFECTS, EffectsPanel
from mdlib.viewing.panels.predict import PredictPanel, StressPanel
from mdlib.viewing.predict import Predictor


def cost_ms(update: Callable[[int], object], rounds: int) -> float:
    """Median milliseconds of an update; the first two prepare."""
    times = []
    for i in range(rounds + 2):
        begin = time.perf_counter()
        update(i)
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rounds = arguments.rounds
    torch.set_num_threads(arguments.threads)
    predictor = Predictor(create_model("mdnet"), "cpu")
    print("| panel | control | ms per update |\n| --- | --- | ---: |")

    def line(panel: str, control: str, update: Callable[[int], object]) -> None:
        print(f"| {panel} | {control} | {cost_ms(update, rounds):.0f} |", flush=True)

    predict = PredictPanel(predictor)
    line("Predict", "sample", lambda i: predict.again.click())
    stress = StressPanel(predictor)
    for name in ADJUSTABLE:
        line("Stress", name, lambda i, s=stress.sliders[name]: setattr(s, "value", 30 + i))
        stress.reset.click()
    for name in ADJUSTABLE:
        stress.sliders[name].value = 40
    line("Stress", "all at once", lambda i: setattr(stress.sliders["noise"], "value", 30 + i))
    data = DataPanel(room_backgrounds(1, (224, 224), 0), prop_cutouts(1, 0))
    line("Data", "left to right", lambda i: setattr(data.x, "value", 30 + i))
    data.true_size.value = False
    line("Data", "height", lambda i: setattr(data.scale, "value", 30 + i))
    effects = EffectsPanel(predictor)
    for name in EFFECTS:
        effects.effect.value = name
        line("Effects", name, effects.redraw)


if __name__ == "__main__":
    main()
