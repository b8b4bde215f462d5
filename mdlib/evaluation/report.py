"""The result of the protocol as Markdown."""

from collections.abc import Mapping, Sequence

from mdlib.evaluation.disturb import CONDITIONS, UNSEEN

TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "boundary_f": "boundary F",
    "mad": "MAD",
    "mse": "MSE",
    "grad": "Grad",
    "conn": "Conn",
    "abs_rel": "AbsRel",
    "rmse": "RMSE",
    "rmse_log": "RMSE log",
    "silog": "SILog",
    "rmse_over_std": "RMSE/std",
    "edge_f": "edge F",
}
MASK_COLUMNS = ("iou", "dice", "boundary_f", "mad", "mse", "grad", "conn")
DEPTH_COLUMNS = (
    "abs_rel", "rmse", "rmse_log", "log10", "silog", "delta1", "delta2", "delta3", "rmse_over_std", "edge_f",
    "order", "object_abs_rel", "object_rmse", "object_delta1",
)  # fmt: skip


def format_table(result: Mapping) -> str:
    """What evaluate returned, as Markdown: conditions, clean sets, depth, and how it was measured."""
    protocol, dataset, network = result["protocol"], result["dataset"], result["network"]
    parts = [f"### {network['name']}, {network['parameters']:,} parameters"]
    pictures = {name: one for name, one in result["conditions"].items() if name != "empty"}
    if pictures:
        pairs = next(iter(pictures.values()))["pairs"]
        parts.append(f"**Under disturbances**: mask IoU on {pairs:,} pairs of `{protocol['disturbed_set']}`")
        parts.append(_condition_table(pictures, result["mean_of_ten"]))
    if "empty" in result["conditions"]:
        scores = result["conditions"]["empty"]["scores"]
        shares = (f"{model} {one['marked']:.2%}" for model, one in scores.items())
        parts.append(f"Pixels marked where nothing was added (`empty`): {', '.join(shares)}.")
    if result["sets"]:
        slow = f"boundary F and Conn on at most {protocol['slow_pairs']} pairs"
        parts += [f"**Masks of clean pairs** ({slow})", _set_table(result["sets"], MASK_COLUMNS)]
    if result["sets"] and dataset["depth"] != "none":
        relative = dataset["depth"] == "relative"
        columns = [f"si_{name}" if relative else name for name in DEPTH_COLUMNS]
        how = "relative, after scale and shift" if relative else "z in metres"
        parts.append(f"**Depth of clean pairs** ({how}; object: over the object's pixels)")
        parts.append(_set_table(result["sets"], columns))
    return "\n\n".join([*parts, _how_it_was_measured(result)]) + "\n"


def _condition_table(conditions: Mapping[str, dict], mean_of_ten: Mapping[str, dict]) -> str:
    first = next(iter(conditions.values()))["scores"]
    columns = [(model, "iou") for model in first if "iou" in first[model]]
    of_depth = ("abs_rel", "delta1", "si_abs_rel", "si_delta1")
    columns += [("network", metric) for metric in of_depth if metric in first["network"]]
    heads = [model if metric == "iou" else f"{model} {_title(metric)}" for model, metric in columns]
    rows = []
    for name, one in conditions.items():
        rows.append([name, *(_number(one["scores"].get(model, {}).get(m)) for model, m in columns)])
        if name == CONDITIONS[-1] and mean_of_ten:
            means = (_number(mean_of_ten.get(model, {}).get(m)) for model, m in columns)
            rows.append(["**mean of the ten**", *(f"**{mean}**" for mean in means)])
    unseen = [[f"{row[0]} (never trained on)", *row[1:]] if row[0] in UNSEEN else row for row in rows]
    return _markdown(["condition", *heads], unseen)


def _set_table(sets: Mapping[str, dict], metrics: Sequence[str]) -> str:
    """One row per set and model that has any of the metrics; a metric that nobody has gets no column."""
    with_value = {m for one in sets.values() for scores in one["scores"].values() for m in scores}
    found = [m for m in metrics if m in with_value]
    rows = [
        [f"`{name}`", model, f"{one['pairs']:,}", *(_number(scores.get(m)) for m in found)]
        for name, one in sets.items()
        for model, scores in one["scores"].items()
        if any(m in scores for m in found)
    ]
    return _markdown(["set", "", "pairs", *map(_title, found)], rows)


def _how_it_was_measured(result: Mapping) -> str:
    protocol, dataset, machine = result["protocol"], result["dataset"], result["machine"]
    height, width = protocol["size"]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    checksums = [f"{name} {one['checksum']}" for name, one in result["sets"].items()]
    checksums += [f"disturbed {one['checksum']}" for one in list(result["conditions"].values())[:1]]
    return (
        f"{width} x {height} px; seed {protocol['seed']}, split seed {protocol['split_seed']}. Data set "
        f"{dataset['id'][:16]}, {dataset['samples']:,} samples. "
        f"Checksums of the pairs: {', '.join(checksums)}. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['device']}; {versions}; "
        f"{result['seconds']:.0f} s."
    )


def _title(metric: str) -> str:
    """The name of a metric as in the literature, si_ and object in front where they apply."""
    plain = metric.removeprefix("si_").removeprefix("object_")
    front = ("si_" if metric.startswith("si_") else "") + ("object " if "object_" in metric else "")
    return front + TITLES.get(plain, plain)


def _number(value: float | None) -> str:
    """Three figures that matter: 0.912, 12.3, or a dash where there is no value."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose source reads well too: columns padded to one width."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    table = [head, ["-" * width for width in widths], *rows]
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(f"| {line} |" for line in lines)
