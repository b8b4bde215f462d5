"""A comparison of networks as tables and as a picture."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks import harness
from benchmarks.quality.equal import MEAN, cell, over_seeds
from mdlib.evaluation.disturb import CONDITIONS, UNSEEN
from mdlib.loading.splits import SETS
from mdlib.viewing.figures import INK

COLOURS = ("#0060c0", "#e07000", "#008060", "#a02080", "#806000", "#607080", "#c03030")
Column = tuple[str, tuple[str, str, str], int]


def markdown(found: Mapping, columns: Sequence[Column]) -> str:
    """Tables of each way (equal time, equal samples), and what they cost."""
    parts = ["# Networks on equal terms", how(found)]
    for way, results in found["results"].items():
        if not results:
            continue
        parts.append(f"## {way.capitalize()}")
        parts.append(score_table(results, columns))
        for name in found["data"]:
            of = f", {name}" if len(found["data"]) > 1 else ""
            parts += [f"Mask IoU by set{of}, clean:", set_table(results, name)]
            parts += [f"Mask IoU by condition{of}:", condition_table(results, name)]
    parts += ["## What they cost", cost_table(found)]
    return "\n\n".join(parts) + "\n"


def how(found: Mapping) -> str:
    """One paragraph about the terms."""
    data = ", ".join(
        f"{name} ({one['samples']:,} samples, {one['id'][:16]})" for name, one in found["data"].items()
    )
    rates = ", ".join(f"{rate:g}" for rate in found["rates"])
    if len(found["rates"]) > 1:
        rates = f"the best of {rates} after {found['tuning_samples']:,} samples"
    machine, versions = found["machine"], found["versions"]
    seeds = ", ".join(map(str, found["seeds"]))
    return (
        f"{found['size']} px, batches of {found['batch_size']}; equal samples: {found['samples']:,}, equal "
        f"time: what mdnet takes for them. Learning rate: {rates}. Seeds {seeds}; "
        f"{found['pairs']} frozen pairs of `new_both` per data set and condition. Data: {data}. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['device']}; torch {versions['torch']}."
    )


def label(one: Mapping) -> str:
    return one["network"] if one["loss"] == "mdnet" else f"{one['network']}, {one['loss']}"


def score_table(results: Sequence[Mapping], columns: Sequence[Column]) -> str:
    """Mean and standard deviation over the seeds, best masks under disturbance first."""
    first = next(column for _, column, _ in columns if column[1] == MEAN)
    ordered = sorted(results, key=lambda one: -(over_seeds(one["measured"], first) or (0,))[0])
    rows = []
    for one in ordered:
        seeds = len(one["measured"])
        cells = [cell(over_seeds(one["measured"], column), digits, seeds) for _, column, digits in columns]
        rows.append([label(one), f"{one['samples']:,}", f"{one['lr']:g}", seeds, *cells])
    return harness.table(["network", "samples seen", "lr", "seeds", *(title for title, *_ in columns)], rows)


def set_table(results: Sequence[Mapping], data: str) -> str:
    rows = [[label(one), *(f"{mean_of(one, data, 'sets', name):.3f}" for name in SETS)] for one in results]
    return harness.table(["network", *SETS], rows)


def condition_table(results: Sequence[Mapping], data: str) -> str:
    names = (*CONDITIONS, MEAN, *UNSEEN)
    rows = [[label(one), *(f"{mean_of(one, data, 'scores', name):.3f}" for name in names)] for one in results]
    return harness.table(["network", *names], rows)


def mean_of(one: Mapping, data: str, kind: str, name: str) -> float:
    """IoU over the seeds."""
    values = [measured[data][kind][name]["iou"] for measured in one["measured"]]
    return sum(values) / len(values)


def cost_table(found: Mapping) -> str:
    costs, seconds = found["costs"], found["step_seconds"]
    px = f"{costs['size']} px"
    head = ["network", "parameters", f"GMAC, {px}", f"training step, {found['size']} px (s)"]
    rows = {
        name: [name, f"{one['parameters']:,}", f"{one['macs'] / 1e9:.2f}", f"{seconds[name]:.2f}"]
        for name, one in costs["networks"].items()
    }
    if "latency" in costs:
        head.append(f"prediction, {px} (ms)")
        for name, milliseconds in latencies(found).items():
            rows[name].append(f"{milliseconds:.0f}")
    for what in ("prediction", "training step") if "memory_mb" in costs else ():
        head.append(f"memory of a {what}, {px} (MB)")
        for name, one in costs["memory_mb"]["CPU"].items():
            rows[name].append("–" if one[what] is None else f"{one[what]:,.0f}")
    return harness.table(head, list(rows.values()))


def latencies(found: Mapping) -> dict[str, float]:
    """Milliseconds of a prediction on the CPU."""
    (place,) = (place for place in found["costs"]["latency"] if "thread" in place)
    return {name: one["ms"] for name, one in found["costs"]["latency"][place]["as created"].items()}


def figure(found: Mapping, columns: Sequence[Column]) -> Figure:
    """Masks under disturbance, and depth, against the multiply-adds of a prediction."""
    shown = [c for c in columns if c[1][1] == MEAN or c[1][2].endswith("abs_rel")]
    panels = Figure(figsize=(5.2 * len(shown), 4.4), dpi=110, facecolor="white", layout="constrained")
    names = list(found["costs"]["networks"])
    several = len({one["loss"] for results in found["results"].values() for one in results}) > 1
    for ax, (title, column, _) in zip(panels.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for results, filled in zip(found["results"].values(), (True, False), strict=True):
            for one in results:
                score = over_seeds(one["measured"], column)
                if score is None:
                    continue
                colour = COLOURS[names.index(one["network"]) % len(COLOURS)]
                place = found["costs"]["networks"][one["network"]]["macs"] / 1e9, score[0]
                face, size = (colour, 6) if filled else ("none", 11)  # both are seen where they fall together
                ax.errorbar(
                    *place, yerr=score[1], fmt="o", color=colour, markerfacecolor=face, markersize=size
                )
                if filled and several:
                    where = {"xytext": (8, 4), "textcoords": "offset points"}
                    ax.annotate(one["loss"], place, **where, color=colour, fontsize=8)
        if column[2].endswith("abs_rel"):
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.25, y=0.1)
        ax.set_title(title, color=INK, fontsize=11)
        ax.set_xlabel(f"GMAC of a prediction at {found['costs']['size']} px", color=INK)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#eeeeee")
    panels.suptitle("disk: equal time    ring: equal samples", fontsize=9, color=INK)
    dots = [
        Line2D([], [], marker="o", linestyle="", color=COLOURS[i % len(COLOURS)]) for i in range(len(names))
    ]
    panels.legend(dots, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    return panels
