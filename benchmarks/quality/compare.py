"""Networks and losses side by side, on equal terms, once at equal samples and once at equal time.

    python -m benchmarks.quality.compare --tiny                             # makes its own data, 10 minutes
    python -m benchmarks.quality.compare DATA [DATA ...] --runs RUNS --json compare.json
    python -m benchmarks.quality.compare DATA --networks mdnet fcn --losses mdnet "BCE + SSIM" --seeds 0 1 2

All candidates are trained by the same recipe (AdamW, cosine, averaged weights, augmentation) on the same
samples in the same order. Tuning is equal too: of the learning rates in --rates each takes the one with the
best masks of new objects in rooms it knows (`new_fg`, ten conditions) after --tuning-samples samples, with
another seed. The figures are those of new objects in new rooms.

"Equal samples": each sees --samples samples. "Equal time": each sees as many as it can in the time in which
mdnet sees --samples; how long a step takes is measured with all networks in turns, so a busy machine changes
little. Equal time comes first, for it is cheap. Stopped and started again, it goes on where it was; the files
hold what is done so far.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import harness
from benchmarks.quality.compare_report import figure, markdown
from benchmarks.quality.equal import MEAN, Terms
from benchmarks.speed import networks
from benchmarks.speed.training import Steps
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.evaluation.protocol import HEADLINE
from mdlib.files import write_whole
from mdlib.modeling.losses import PRESETS
from mdlib.modeling.registry import create_model, model_names

REFERENCE, LOSS = networks.REFERENCE, "mdnet"
SAMPLES, TIME = "equal samples", "equal time"
TUNING_SEED = 1000
COSTS = ["latency", "memory"]
TINY = {"size": 64, "samples": 800, "seeds": [0], "pairs": 24, "rates": [2e-3], "rounds": 2, "cost_size": 112}


def kept(file: Path, make: Callable[[], dict]) -> dict:
    """What `make` gave when it was called first."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(make(), indent=1).encode())
    return json.loads(file.read_text())


def step_seconds(terms: Terms, names: list[str], rounds: int) -> dict[str, float]:
    """Seconds of a training step of each network, taken in turns."""
    configs = {name: terms.config(name, 0, 1, model=name) for name in names}
    ways = {name: Steps(config) for name, config in configs.items()}
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            seconds = way.take(1, real=False)[0]
            if turn:  # the first one prepares
                times[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def costs(names: list[str], size: int, rounds: int, parts: list[str]) -> dict:
    """Parameters, multiply-adds, latency and memory of each network."""
    about = argparse.Namespace(networks=names, size=size, threads=[2], rounds=rounds, parts=parts)
    return networks.measure(about)


class Comparison:
    """All candidates: (network, loss)."""

    def __init__(self, terms: Terms, args: argparse.Namespace):
        self.terms, self.args = terms, args
        names = list(dict.fromkeys([REFERENCE, *args.networks]))
        timed = terms.runs / f"step_seconds_{terms.size}.json"
        self.seconds = kept(timed, lambda: step_seconds(terms, names, args.rounds))
        about = names, args.cost_size, args.rounds, args.costs
        self.costs = kept(terms.runs / f"costs_{args.cost_size}.json", lambda: costs(*about))
        cheap_first = sorted(args.networks, key=self.seconds.get)
        self.candidates = [(name, loss) for name in cheap_first for loss in args.losses]
        self.rates: dict[tuple[str, str], float] = {}

    def samples(self, network: str, way: str) -> int:
        if way == SAMPLES:
            return self.args.samples
        return round(self.args.samples * self.seconds[REFERENCE] / self.seconds[network])

    def result(
        self, network: str, loss: str, samples: int, seed: int, rate: float, on: str = HEADLINE
    ) -> dict:
        label = f"{network}-{loss}-{samples}-{rate:g}".replace(" ", "-").replace("+", "and")
        config = self.terms.config(label, seed, samples, model=network, loss=loss, lr=rate)
        return self.terms.result(config, lambda: create_model(network), on)

    def rate(self, network: str, loss: str) -> float:
        """The best of the learning rates."""
        if len(self.args.rates) == 1:
            return self.args.rates[0]
        if (network, loss) not in self.rates:
            few, seed = self.args.tuning_samples, TUNING_SEED
            tried = {
                rate: masks(self.result(network, loss, few, seed, rate, on="new_fg"))
                for rate in self.args.rates
            }
            self.rates[network, loss] = max(tried, key=tried.get)
        return self.rates[network, loss]

    def run(self, write: Callable[[dict], None]) -> None:
        """Train and measure all; `write` gets what is there after each."""
        found: dict[str, dict[tuple[str, str], list[dict]]] = {TIME: {}, SAMPLES: {}}
        for way, results in found.items():
            for seed in self.args.seeds:
                for candidate in self.candidates:
                    rate, samples = self.rate(*candidate), self.samples(candidate[0], way)
                    one = self.result(*candidate, samples, seed, rate)
                    results.setdefault(candidate, []).append({**one, "lr": rate, "samples": samples})
                    write(self.as_json(found))

    def as_json(self, found: Mapping[str, Mapping]) -> dict:
        args = {name: getattr(self.args, name) for name in ("samples", "seeds", "rates", "tuning_samples")}
        return {
            **self.terms.about(),
            **args,
            "step_seconds": self.seconds,
            "costs": self.costs,
            "results": {
                way: [
                    {
                        "network": network,
                        "loss": loss,
                        "lr": many[0]["lr"],
                        "samples": many[0]["samples"],
                        "measured": [one["measured"] for one in many],
                    }
                    for (network, loss), many in results.items()
                ]
                for way, results in found.items()
            },
        }


def masks(result: Mapping) -> float:
    """IoU in the mean of the ten conditions and of the data sets."""
    return statistics.mean(one["scores"][MEAN]["iou"] for one in result["measured"].values())


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument(
        "data", type=Path, nargs="*", help="folders of data sets, mixed; --tiny makes its own"
    )
    parser.add_argument("--tiny", action="store_true", help="64 px, one seed, few samples")
    parser.add_argument("--runs", type=Path, default=Path("comparison"), help="folder for the runs")
    parser.add_argument("--networks", nargs="+", default=model_names(), choices=model_names())
    parser.add_argument("--losses", nargs="+", default=[LOSS], choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=6000, help="that each sees at equal samples")
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-3, 5e-4], help="learning rates tried")
    parser.add_argument("--tuning-samples", type=int, default=1600, help="for each of them")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=112, help="shorter side of the pictures in px")
    parser.add_argument("--pairs", type=int, default=100, help="frozen pairs per data set and condition")
    parser.add_argument("--rounds", type=int, default=5, help="turns when time is measured")
    parser.add_argument("--costs", nargs="+", choices=COSTS, default=COSTS, help="beside parameters and GMAC")
    parser.add_argument("--cost-size", type=int, default=224, help="size for multiply-adds, latency, memory")
    parser.add_argument("--json", type=Path, help="write all numbers here; .md and .png beside it")
    args = parser.parse_args()
    if args.tiny:
        parser.set_defaults(**TINY)
        args = parser.parse_args()
    if args.tiny and not args.data:
        made = CreateConfig(args.runs / "data/rooms", rooms=16, props=16, placements=2, size=64)
        args.data = [create(made)]
    if not args.data:
        parser.error("give folders of data sets, or --tiny, which makes its own")
    args.json = args.json or args.runs / "compare.json"
    terms = Terms(args.data, args.runs, args.size, args.batch_size, args.pairs, sets=None)
    columns = terms.columns(few=True)

    def write(found: dict) -> None:
        harness.write_results(args.json, found, markdown(found, columns))
        figure(found, columns).savefig(args.json.with_suffix(".png"))

    Comparison(terms, args).run(write)
    print(args.json.with_suffix(".md").read_text())
    print(f"{args.json}, .md and .png; {harness.machine()}")


if __name__ == "__main__":
    main()
