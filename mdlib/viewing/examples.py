"""Single pairs under the magnifying glass: the best, the worst, and which failures are alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mdlib.colours import depth_colours, depth_range
from mdlib.evaluation.disturb import disturb
from mdlib.evaluation.metrics import mask_metrics
from mdlib.evaluation.pairs import disturbance_seeds, frozen_pairs
from mdlib.loading.codec import to_imgs
from mdlib.loading.loader import make_loader
from mdlib.modeling.networks.base import evaluation_mode
from mdlib.viewing.figures import INK, blank, difference, overlay, pictures
from mdlib.viewing.network.hooks import hooked

if TYPE_CHECKING:
    from mdlib.loading.dataset import SceneDataset

THUMBNAIL_PX = 48
IOU_COLOURS = "cividis"  # the same order for everyone, colour-blind or not
LOWEST_SHOWN = 0.5


class Case(NamedTuple):
    """One pair, what was found in it and what is true; arrays as in viewing.scenes.scene."""

    name: str
    iou: float
    bg_img: np.ndarray
    fg_bg_img: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    true_mask: np.ndarray
    true_depth: np.ndarray | None
    features: np.ndarray  # (C,): mean over the object's pixels of what the mask is made from


def examine(
    model: nn.Module,
    dataset: "SceneDataset",
    pairs: int = 48,
    set_name: str = "new_both",
    condition: str = "clean",
    seed: int = 0,
    split_seed: int = 0,
    batch_size: int = 16,
) -> list[Case]:
    """The first frozen pairs of a set under a condition, one by one, the worst mask IoU first.

    They are the pairs of `evaluation.protocol.evaluate` with the same seeds. The model, one that has
    `cam_layers`, is asked where it is and stays as it is. Raises ValueError for an unknown set or condition.
    """
    splits = dataset.split(split_seed)
    if set_name not in splits:
        raise ValueError(f"unknown set {set_name!r}: expected one of {', '.join(splits)}")
    whole = splits[set_name]
    chosen = whole.subset(frozen_pairs(whole.bg, whole.fg, set_name, seed, pairs))
    loader, device = make_loader(chosen, batch_size), next(model.parameters()).device
    layer = model.cam_layers["mask"]
    layers = [(layer, model.get_submodule(layer))]
    features: list[Tensor] = []
    cases: list[Case] = []
    note = hooked(layers, after=lambda name, output: features.append(output))
    with note, evaluation_mode(model), torch.inference_mode():
        for batch in loader:
            truth = loader.to_float(batch, device)
            seeds = disturbance_seeds(chosen.rows[batch["index"].numpy()], seed)
            bg, fg_bg = disturb(condition, truth["bg"], truth["fg_bg"], truth["mask"], seeds)
            answer = model(bg, fg_bg)
            names = [chosen.sample_name(i) for i in batch["index"].tolist()]
            cases += _cases(names, bg, fg_bg, answer, truth, features[-1][-len(names) :])
    return sorted(cases, key=lambda case: case.iou)


def _cases(
    names: list[str], bg: Tensor, fg_bg: Tensor, answer: tuple, truth: dict, maps: Tensor
) -> list[Case]:
    pred = answer.mask_logits.sigmoid()
    ious = mask_metrics(pred, truth["mask"])["iou"].tolist()
    weights = interpolate(pred, maps.shape[-2:], mode="bilinear", antialias=True) + 1e-6
    features = (maps * weights).sum((2, 3)) / weights.sum((2, 3))  # (B,C)
    pictures = [to_imgs(x) for x in (bg, fg_bg)]
    maps = [None if x is None else x[:, 0].float().cpu().numpy() for x in (pred, answer.depth, truth["mask"])]
    known = truth.get("depth")
    maps.append(None if known is None or known.isnan().all() else known[:, 0].cpu().numpy())
    return [
        Case(name, iou, *(img[i] for img in pictures), *(None if x is None else x[i] for x in maps),
             features[i].float().cpu().numpy())
        for i, (name, iou) in enumerate(zip(names, ious, strict=True))
    ]  # fmt: skip


def cases_figure(cases: Sequence[Case], metric: bool = False) -> Figure:
    """A row per case: the two pictures, what was found, what is wrong; depth, where it is known.

    metric: as in `figures.panel`. Raises ValueError for none at all.
    """
    if not cases:
        raise ValueError("cases_figure got no cases; give at least one")
    limits = depth_range(*(x for case in cases for x in (case.depth, case.true_depth)))
    with_depth = any(case.true_depth is not None for case in cases)
    rows = []
    for case in cases:
        row = [
            (f"IoU {case.iou:.3f}", case.bg_img),
            ("scene", case.fg_bg_img),
            ("found", overlay(case.fg_bg_img, case.mask)),
            ("missed: blue, too much: orange", difference(case.mask, case.true_mask)),
        ]
        if with_depth:
            depths = (("depth", case.depth), ("true depth", case.true_depth))
            row += [None if x is None else (title, depth_colours(x, limits)) for title, x in depths]
        rows.append(row)
    return pictures(rows, limits if with_depth else None, metric)


def embedding_figure(cases: Sequence[Case]) -> Figure:
    """A map of the cases: what looks alike to the network lies together, the frame tells the mask IoU.

    From left to right and from bottom to top in the order of the features' two main directions (principal
    components). Failures in one corner have one cause; failures everywhere have many. Raises ValueError for
    fewer than 3 cases.
    """
    if len(cases) < 3:
        raise ValueError(f"{len(cases)} cases: a map needs at least 3")
    places = principal_components(np.stack([case.features for case in cases]))
    places = places.argsort(0).argsort(0)  # in their order: one far away would squeeze all others
    figure = blank(7.4, 5.6)
    ax = figure.subplots()
    ious = [case.iou for case in cases]
    points = ax.scatter(*places.T, c=ious, cmap=IOU_COLOURS, vmin=LOWEST_SHOWN, vmax=1, s=0)
    for case, place in sorted(zip(cases, places, strict=True), key=lambda pair: -pair[0].iou):  # worst on top
        step = max(1, round(max(case.fg_bg_img.shape[:2]) / (2 * THUMBNAIL_PX)))
        picture = OffsetImage(
            case.fg_bg_img[::step, ::step], zoom=THUMBNAIL_PX / (max(case.fg_bg_img.shape) / step)
        )
        frame = {"edgecolor": points.to_rgba(case.iou), "linewidth": 3, "boxstyle": "square,pad=0.05"}
        ax.add_artist(AnnotationBbox(picture, place, bboxprops=frame))
    ax.margins(0.1)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel("what looks alike to the network lies together", color=INK)
    for spine in ax.spines.values():
        spine.set_color("#cccccc")
    bar = figure.colorbar(points, ax=ax, fraction=0.04, label="mask IoU", extend="min")
    bar.outline.set_visible(False)
    return figure


def principal_components(features: np.ndarray, count: int = 2) -> np.ndarray:
    """(N,C) features -> (N,count): along the directions in which they differ most, standardised first.

    Pearson 1901, by a singular value decomposition.
    """
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    return u[:, :count] * s[:count]
