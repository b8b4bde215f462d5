"""Size, time and loss of the ways to encode samples: what the settings of creation were chosen by.

    python -m benchmarks.speed.encodings              # drawn rooms and objects, 224 px
    python -m benchmarks.speed.encodings --data DIR   # a data set of `create` (its samples before encoding)

One core, medians over rounds. What a colour setting costs where it matters, at the edges of objects, is told
by the IoU of subtraction with the best threshold per picture, on pictures that went through the encoding.
"""

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image

from benchmarks import harness
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.live import live_dataset
from mdlib.evaluation.baselines import BestThreshold
from mdlib.loading import codec

SAMPLES = 240


def pictures(data: Path) -> dict[str, np.ndarray]:
    """Samples spread over the data set, as arrays: bg, fg_bg (B,H,W,3), mask, depth (B,H,W)."""
    samples = live_dataset(data)
    rows = np.linspace(0, len(samples) - 1, min(SAMPLES, len(samples))).astype(int)
    batch = samples.batch(rows)
    batch["bg"] = samples.backgrounds[batch.pop("bg_index")]
    return {
        kind: np.ascontiguousarray(batch[kind].permute(0, 2, 3, 1).squeeze(3).numpy())
        for kind in ("bg", "fg_bg", "mask", "depth")
        if kind in batch
    }


def timed(call: Callable, items: list, rounds: int) -> tuple[list, float]:
    """The results for all items, and the microseconds that one took: the median over the rounds."""
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        results = [call(item) for item in items]
        seconds.append((time.perf_counter() - begin) / len(items))
    return results, 1e6 * statistics.median(seconds)


def jpeg(quality: int, sampling: str) -> Callable[[np.ndarray], bytes]:
    """An encoder with chroma at full resolution (444) or at a half of it (422, 420)."""
    return lambda img: simplejpeg.encode_jpeg(
        img, quality=quality, colorspace="RGB", colorsubsampling=sampling
    )


def subtraction_iou(bg: list[np.ndarray], fg_bg: list[np.ndarray], masks: np.ndarray) -> float:
    """Mean IoU of subtraction with the best threshold of each picture."""
    first, second = (torch.from_numpy(np.stack(imgs)).permute(0, 3, 1, 2) / 255.0 for imgs in (bg, fg_bg))
    true = torch.from_numpy(masks)[:, None] / 255.0
    found = BestThreshold()(first, second, {"mask": true}).mask_logits > 0
    both, either = (found & (true > 0.5)).sum((1, 2, 3)), (found | (true > 0.5)).sum((1, 2, 3))
    return float((both / either.clamp(min=1)).mean())


def colour_rows(imgs: dict[str, np.ndarray], rounds: int) -> list[list]:
    raw = f"{imgs['fg_bg'][0].nbytes / 1000:.1f}"
    iou = subtraction_iou(list(imgs["bg"]), list(imgs["fg_bg"]), imgs["mask"])
    rows = [["fg_bg, not encoded", raw, "", "", "none", f"{iou:.4f}"]]
    for sampling in ("444", "422", "420"):
        for quality in (95, 90, 85, 75):
            encode = jpeg(quality, sampling)
            encoded, encode_us = timed(encode, list(imgs["fg_bg"]), rounds)
            decoded, decode_us = timed(codec.decode, encoded, rounds)
            loss = np.mean(
                [np.abs(a.astype(int) - b).mean() for a, b in zip(decoded, imgs["fg_bg"], strict=True)]
            )
            iou = subtraction_iou([codec.decode(encode(img)) for img in imgs["bg"]], decoded, imgs["mask"])
            name = f"fg_bg, JPEG {quality}, {':'.join(sampling)}"
            rows.append([name, *_measures(encoded, encode_us, decode_us), f"{loss:.2f} levels", f"{iou:.4f}"])
    return rows


def gray_rows(imgs: dict[str, np.ndarray], rounds: int) -> list[list]:
    ways: list[tuple[str, str, Callable]] = [
        *(
            (f"mask, PNG level {level}", "mask", lambda img, level=level: codec.encode_png(img, level))
            for level in (1, 6, 9)
        ),
        ("mask, PNG of PIL (adaptive filter)", "mask", pil_png),
        ("mask, JPEG 90 (not used: rings)", "mask", lambda img: codec.encode_jpeg(img, 90)),
    ]
    if "depth" in imgs:
        closeness = codec.depth_to_closeness(torch.from_numpy(imgs["depth"])).nan_to_num()
        imgs = {**imgs, "near": (closeness * 255).round().to(torch.uint8).numpy()}
        ways += [
            *(
                (
                    f"depth in mm, PNG level {level}",
                    "depth",
                    lambda img, level=level: codec.encode_png(img, level),
                )
                for level in (1, 6)
            ),
            ("depth in mm, PNG of PIL (adaptive filter)", "depth", pil_png),
            ("closeness, PNG level 1", "near", codec.encode_png),
            *(
                (
                    f"closeness, JPEG {quality}",
                    "near",
                    lambda img, quality=quality: codec.encode_jpeg(img, quality),
                )
                for quality in (95, 90, 80)
            ),
        ]
    rows = []
    for name, kind, encode in ways:
        encoded, encode_us = timed(encode, list(imgs[kind]), rounds)
        decoded, decode_us = timed(codec.decode, encoded, rounds)
        loss = np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(decoded, imgs[kind], strict=True)])
        rows.append(
            [name, *_measures(encoded, encode_us, decode_us), f"{loss:.2f} levels" if loss else "none", ""]
        )
    return rows


def pil_png(img: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, "PNG")
    return buffer.getvalue()


def _measures(encoded: list[bytes], encode_us: float, decode_us: float) -> list[str]:
    return [f"{np.mean([len(one) for one in encoded]) / 1000:.1f}", f"{encode_us:.0f}", f"{decode_us:.0f}"]


def main() -> None:
    parser = harness.parser(__doc__)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder) / "set"
        if not data.exists():
            create(CreateConfig(data, rooms=12, props=12, placements=2, recipe_only=True))
        imgs = pictures(data)
    rows = colour_rows(imgs, options.rounds) + gray_rows(imgs, options.rounds)
    head = ["encoding", "kB", "encode (us)", "decode (us)", "mean loss", "IoU of subtraction"]
    numbers, h, w = imgs["mask"].shape
    report = f"{numbers} samples of {w} x {h} px; {harness.machine()}\n\n{harness.table(head, rows)}"
    print(report)
    harness.write_results(options.json, {"machine": harness.machine(), "head": head, "rows": rows}, report)


if __name__ == "__main__":
    main()
