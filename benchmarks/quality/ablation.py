"""What each piece of mdnet is worth: the network without it, trained and measured alike.

Every row sees the same samples in the same order with the same settings, and is measured on the same pairs of
new rooms and new objects. Several data sets are mixed for training and measured apart; those without depth
teach the mask alone.

    python -m benchmarks.quality.ablation DATA [DATA ...] --runs RUNS --json ablation.json
    python -m benchmarks.quality.ablation DATA --rows mdnet "no alignment" --seeds 0 1 2

All rows of the first seed come first, then those of the next. Stopped and started again, it goes on where it
was; the table holds what is done so far.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import harness
from benchmarks.quality.equal import Terms, cell, over_seeds, value
from benchmarks.quality.variants import FULL, ROWS, build
from mdlib.viewing.network.summary import count_macs


def markdown(found: Mapping, terms: Terms) -> str:
    """What the rows cost, then a table per data set: means, and mean differences to the first row."""
    costs = [
        [name, f"{one['parameters']:,}", f"{one['macs'] / 1e9:.2f}", len(found["results"][name])]
        for name, one in found["rows"].items()
    ]
    machine, versions = found["machine"], found["versions"]
    parts = [
        "# What each piece of mdnet is worth",
        f"{found['samples']:,} samples seen by each row at {found['size']} px, in batches of "
        f"{found['batch_size']}; {found['pairs']} frozen pairs of `new_both` per data set and condition. In "
        f"brackets the difference to mdnet with the same seeds. {machine['processor']}, {machine['cores']} "
        f"cores; torch {versions['torch']}.",
        harness.table(["row", "parameters", "GMAC at 224 px", "seeds"], costs),
    ]
    for name, about in found["data"].items():
        columns = [column for column in terms.columns() if column[1][0] == name]
        parts += [f"New rooms and objects of `{name}` ({about['id'][:16]}):", score_table(found, columns)]
    return "\n\n".join(parts) + "\n"


def score_table(found: Mapping, columns: Sequence[tuple]) -> str:
    rows = []
    for name, seeds in found["results"].items():
        cells = []
        for _, column, digits in columns:
            text = cell(over_seeds(seeds, column), digits, len(seeds))
            if name != FULL:
                pairs = zip(seeds, found["results"][FULL], strict=False)  # the first row is one seed ahead
                gains = [value(one, column) - value(full, column) for one, full in pairs]
                text += f" ({sum(gains) / len(gains):+.{digits}f})"
            cells.append(text)
        rows.append([name, *cells])
    return harness.table(["", *(title.split(": ")[-1] for title, *_ in columns)], rows)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("data", type=Path, nargs="+", help="folders of data sets")
    parser.add_argument("--runs", type=Path, default=Path("ablation"), help="folder for the runs")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--samples", type=int, default=6000, help="samples that each row sees")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=112, help="shorter side of the pictures in px")
    parser.add_argument("--pairs", type=int, default=100, help="frozen pairs per data set and condition")
    parser.add_argument("--json", type=Path, help="write all numbers here, the table beside it as .md")
    args = parser.parse_args()
    rows = [FULL, *(row for row in args.rows if row != FULL)]
    terms = Terms(args.data, args.runs, args.size, args.batch_size, args.pairs)
    results: dict[str, list[dict]] = {}
    costs = {}
    for seed in args.seeds:
        for row in rows:
            name = row.replace("/", " of ").replace(",", "").replace(" ", "-")
            config = terms.config(name, seed, args.samples, **ROWS[row][1])
            one = terms.result(config, lambda row=row: build(row))
            results.setdefault(row, []).append(one["measured"])
            if row not in costs:
                costs[row] = {"parameters": one["parameters"], "macs": count_macs(build(row), (224, 224))}
            found = {**terms.about(), "samples": args.samples, "seeds": args.seeds, "rows": costs}
            found["results"] = results
            table = markdown(found, terms)
            harness.write_results(args.json, found, table)
    print(table, end="")


if __name__ == "__main__":
    main()
