"""All networks side by side: parameters, multiply-adds, latency and memory.

Latency is that of one prediction (batch 1, 32-bit floats unless told otherwise). All networks wait in one
process and take turns, so that a machine that slows down slows all of them; ratios are taken within a round,
and medians of them are printed. Memory is measured in a fresh process each: by how much one prediction
(batch 1), and one step of training (batch 16: prediction, loss, gradients, AdamW), raise what the process
holds. On a GPU, where there is one, latency and memory in 32-bit and in half precision (autocast).

    python -m benchmarks.speed.networks --json benchmarks/results/networks.json
"""

import json
import statistics
import time
from pathlib import Path

import torch

from benchmarks import harness
from mdlib.evaluation.protocol import environment
from mdlib.modeling.losses import PRESETS, Losses
from mdlib.modeling.registry import create_model, model_names
from mdlib.viewing.network.summary import count_macs, peak_memory_mb, two_pictures

REFERENCE = "mdnet"
TRAIN_BATCH = 16
TURN_S = 0.5
WORK = ("prediction", "training step")
LAYOUTS = {"as created": torch.contiguous_format, "channels last": torch.channels_last}


def latencies(names: list[str], size: int, threads: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """layout -> network -> milliseconds of a prediction, one per round, on the CPU."""
    torch.set_num_threads(threads)
    ways = {}
    for layout, memory_format in LAYOUTS.items():
        for name in names:
            model = create_model(name).eval()
            # "as created" is left as it is: mdnet chooses its layout itself.
            ways[layout, name] = model if layout == "as created" else model.to(memory_format=memory_format)
    times = take_turns(ways, size, rounds, torch.device("cpu"))
    return {layout: {name: times[layout, name] for name in names} for layout in LAYOUTS}


def gpu_latencies(names: list[str], size: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """precision -> network -> milliseconds of a prediction, one per round."""
    device = torch.device("cuda")
    models = {name: create_model(name).eval().to(device) for name in names}
    found = {}
    for precision in ("fp32", "half"):
        with torch.autocast("cuda", torch.float16, enabled=precision == "half"):
            found[precision] = take_turns(models, size, rounds, device)
    return found


def take_turns(ways: dict, size: int, rounds: int, device: torch.device) -> dict:
    """way -> milliseconds per prediction in each round: the median of a turn of TURN_S seconds.

    The first prediction of a turn does not count: what was in the caches before is gone then.
    """
    times = {way: [] for way in ways}
    with torch.inference_mode():
        for _ in range(rounds):
            for way, model in ways.items():
                bg, fg_bg = two_pictures(model, (size, size))
                turn: list[float] = []
                while len(turn) < 2 or sum(turn) < TURN_S * 1e3:
                    begin = time.perf_counter()
                    model(bg, fg_bg)
                    if device.type == "cuda":
                        torch.cuda.synchronize(device)
                    turn.append((time.perf_counter() - begin) * 1e3)
                times[way].append(statistics.median(turn[1:]))
    return times


def memory_mb(name: str, size: int, train: bool, device_name: str, half: bool) -> float | None:
    """Megabytes by which a prediction, or a training step, raises the memory in use."""
    device = torch.device(device_name)
    model = create_model(name).to(device).train(train)
    bg, fg_bg = two_pictures(model, (size, size), TRAIN_BATCH if train else 1)
    truth = {"mask": (bg[:, :1] > 0.5).float(), "depth": fg_bg[:, :1]}
    losses, optimizer = Losses(PRESETS["mdnet"]), torch.optim.AdamW(model.parameters())

    def work() -> None:
        with torch.set_grad_enabled(train), torch.autocast(device.type, torch.float16, enabled=half):
            answer = model(bg, fg_bg)
            loss = losses(answer, truth)["total"] if train else None
        if train:
            loss.backward()
            optimizer.step()

    return peak_memory_mb(work, device)


def parameters_and_macs(names: list[str], size: int) -> dict[str, dict[str, int]]:
    """network -> its numbers of parameters and of multiply-adds."""
    models = {name: create_model(name) for name in names}
    return {
        name: {
            "parameters": sum(p.numel() for p in model.parameters()),
            "macs": count_macs(model, (size, size)),
        }
        for name, model in models.items()
    }


def relative(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """network -> median milliseconds, and how many times those of the reference, within a round."""
    return {
        name: {
            "ms": statistics.median(values),
            "times_reference": harness.ratio(values, times[REFERENCE]),
        }
        for name, values in times.items()
    }


def measure(args) -> dict:
    """What was asked for, as the JSON file holds it."""
    names, gpu = args.networks, torch.cuda.is_available()
    found = {"size": args.size, "networks": parameters_and_macs(names, args.size)}
    if "latency" in args.parts:
        found["latency"] = {}
        for threads in args.threads:
            by_layout = harness.in_fresh_process(latencies, names, args.size, threads, args.rounds)
            place = f"{threads} thread{'s' * (threads > 1)}"
            found["latency"][place] = {k: relative(times) for k, times in by_layout.items()}
        if gpu:
            by_precision = harness.in_fresh_process(gpu_latencies, names, args.size, 10 * args.rounds)
            found["latency"]["GPU"] = {k: relative(times) for k, times in by_precision.items()}
        found["latency_rounds"] = args.rounds
    if "memory" in args.parts:
        places = {"CPU": ("cpu", False)} | (
            {"GPU": ("cuda", False), "GPU half": ("cuda", True)} if gpu else {}
        )
        found["memory_mb"] = {
            place: {
                name: {
                    what: harness.in_fresh_process(memory_mb, name, args.size, what == WORK[1], *where)
                    for what in WORK
                }
                for name in names
            }
            for place, where in places.items()
        }
    return found | environment(torch.device("cuda" if gpu else "cpu"))


def markdown(found: dict) -> str:
    """A table of latencies and one of memory, one row per network each."""
    head = ["network", "parameters", "GMAC"]
    rows = {
        name: [name, f"{one['parameters']:,}", f"{one['macs'] / 1e9:.2f}"]
        for name, one in found["networks"].items()
    }
    for place, ways in found.get("latency", {}).items():
        for way, by_network in ways.items():
            head += [f"{place}, {way} (ms)", f"x {REFERENCE}"]
            for name, one in by_network.items():
                rows[name] += [f"{one['ms']:.1f}", f"{one['times_reference']:.1f}"]
    tables = [harness.table(head, list(rows.values()))]
    if memory := found.get("memory_mb"):
        head = ["network", *(f"{place}, {what} (MB)" for place in memory for what in WORK)]
        columns = list(memory.values())
        rows = [[name, *(megabytes(one[name][what]) for one in columns for what in WORK)] for name in rows]
        tables.append(harness.table(head, rows))
    machine, versions = found["machine"], found["versions"]
    tables.append(
        f"{found['size']} x {found['size']} px; {machine['processor']}, {machine['cores']} cores; torch "
        f"{versions['torch']}."
    )
    return "\n\n".join(tables)


def megabytes(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=model_names(), help="some of all; mdnet is needed")
    parser.add_argument("--size", type=int, default=224, help="height and width of the pictures in px")
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--parts", nargs="+", choices=["latency", "memory"], default=["latency", "memory"])
    args = parser.parse_args()
    if REFERENCE not in args.networks:
        parser.error(f"--networks needs {REFERENCE}, which the others are compared with")
    found = measure(args)
    if args.json and args.json.is_file():  # parts that were measured before stay
        before = json.loads(Path(args.json).read_text())
        found = before | found if before["size"] == found["size"] else found
    print(markdown(found))
    harness.write_results(args.json, found, markdown(found))


if __name__ == "__main__":
    main()
