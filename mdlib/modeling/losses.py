"""Losses: named terms on mask and depth (see loss_terms.py), combined by a dict of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.modeling import loss_terms
from mdlib.modeling.networks.base import MaskDepth

MDNET = {
    "mask_bce": 1.0,
    "mask_dice": 1.0,
    "depth_l1": 1.0,
    "depth_log_l1": 0.2,
    "depth_gradient": 1.0,
}
# Named after what they reproduce. A network without depth skips the depth terms.
PRESETS: dict[str, dict[str, float]] = {
    "mdnet": MDNET,
    # Objects cover a twentieth of the pixels, and as much of every mean that is not taken over them alone.
    "mdnet + depth of objects": {**MDNET, "depth_object_log_l1": 0.2},
    # Taught last: which of two pixels is nearer, one on an object and one off it.
    "mdnet + depth of objects and pairs": {**MDNET, "depth_object_log_l1": 0.2, "depth_pairs": 0.3},
    "BCE + Dice and L1 + gradient": {
        "mask_bce": 1.0,
        "mask_dice": 1.0,
        "depth_l1": 1.0,
        "depth_gradient": 1.0,
    },
    "BCE + L1": {"mask_bce": 1.0, "depth_l1": 1.0},
    "BCE + Dice": {"mask_bce": 1.0, "mask_dice": 1.0},
    "BCE + MSE": {"mask_bce": 1.0, "depth_mse": 1.0},
    "BCE + smooth L1": {"mask_bce": 1.0, "depth_smooth_l1": 1.0},
    "BCE + SSIM": {"mask_bce": 1.0, "depth_ssim": 1.0},
    # Depth as in Alhashim and Wonka 2018 ("DenseDepth"): SSIM + gradient + 0.1 L1.
    "L1 + gradient + SSIM": {"mask_bce": 1.0, "depth_l1": 0.1, "depth_gradient": 1.0, "depth_ssim": 1.0},
    # The same three terms, unweighted, and SSIM for the fine structures of the mask.
    "BCE + SSIM and L1 + gradient + SSIM": {
        "mask_bce": 1.0,
        "mask_ssim": 1.0,
        "depth_l1": 1.0,
        "depth_gradient": 1.0,
        "depth_ssim": 1.0,
    },
    "BCE + SILog": {"mask_bce": 1.0, "depth_silog": 1.0},
    # The second half of the loss of Li and Snavely 2018 ("MegaDepth"), beside a plain L1.
    "L1 + gradient matching": {"mask_bce": 1.0, "depth_l1": 1.0, "depth_matching": 0.5},
}


class Losses:
    """A weighted sum of named terms.

    `weights` maps a name "mask_<kind>" or "depth_<kind>" to its factor; see `term_names()`. Calling it with a
    network's output and a float batch (a dict with `mask` and `depth`) returns a dict of the terms before
    weighting plus "total", all scalars on the device. Everything is computed in float32. Where the batch is a
    part of the batch `whole`, these are its shares: the sums over all parts are those of `whole`.
    Raises ValueError for unknown names, negative or infinite weights, or when nothing is left to add up.
    """

    def __init__(self, weights: Mapping[str, float] = PRESETS["mdnet"]) -> None:
        for name, weight in weights.items():
            if name not in term_names():
                raise ValueError(f"unknown loss term {name!r}; known terms: {', '.join(term_names())}")
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"weight of {name} is {weight}; expected a finite number >= 0")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight > 0}
        if not self.weights:
            raise ValueError("no loss term has a weight above 0; give at least one, such as {'mask_bce': 1}")

    def __call__(
        self, pred: MaskDepth, batch: Mapping[str, Tensor], whole: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        logits = pred.mask_logits
        # Autocast would run the convolutions of SSIM and gradients in half precision.
        with torch.autocast(logits.device.type, enabled=False):
            terms = {}
            for name in self.weights:
                target, kind = name.split("_", 1)
                if target == "depth" and pred.depth is None:
                    continue
                value = pred.depth if target == "depth" else logits
                of = None if whole is None or whole is batch else _truth(name, whole)
                terms[name] = _TERMS[target][kind](value.float(), _truth(name, batch), of)
            if not terms:
                raise ValueError(
                    f"a network without depth has no use for {', '.join(self.weights)}; add a mask term"
                )
            terms["total"] = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return terms


def term_names() -> list[str]:
    """All names that `Losses` understands."""
    return [f"{target}_{kind}" for target, kinds in _TERMS.items() for kind in kinds]


def _truth(name: str, batch: Mapping[str, Tensor]) -> Tensor:
    """What the term `name` is compared with. "depth_object_...": depth that is known on the object alone.

    "depth_pairs": (B, 2, H, W), depth and mask.
    """
    if name == "depth_pairs":
        return torch.cat([batch["depth"].float(), batch["mask"].float()], 1)
    true = batch[name.split("_")[0]].float()
    return true.where(batch["mask"] > 0.5, math.nan) if name.startswith("depth_object_") else true


# Terms as `Losses` calls them: prediction, truth, and the truth of the whole batch or None.
Term = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _per_image(term: Callable[[Tensor, Tensor], Tensor]) -> Term:
    return lambda pred, true, of=None: term(pred, true) * (1.0 if of is None else len(true) / len(of))


def _of_mask(term: Callable[..., Tensor]) -> Term:
    def known(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else torch.ones_like(mask, dtype=torch.bool)

    return lambda logits, mask, of=None: term(logits.sigmoid(), mask, known(mask), known(of))


def _of_depth(term: Callable[..., Tensor]) -> Term:
    return lambda depth, true, of=None: term(
        depth, true, true.isfinite(), None if of is None else of.isfinite()
    )


def _sides(true: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels of known depth on and off the object; `true` is depth and mask."""
    known, on_object = true[:, :1].isfinite(), true[:, 1:] > 0.5
    return known & on_object, known & ~on_object


def _pairs(depth: Tensor, true: Tensor, of: Tensor | None = None) -> Tensor:
    whole = None if of is None else loss_terms.has_both(*_sides(of))
    return loss_terms.pairs(depth, true[:, :1], *_sides(true), whole)


_BOTH = {
    "l1": loss_terms.l1,
    "smooth_l1": loss_terms.smooth_l1,
    "mse": loss_terms.mse,
    "ssim": loss_terms.ssim,
    "ssim3": loss_terms.ssim3,
    "gradient": loss_terms.gradient,
}
_TERMS: dict[str, dict[str, Term]] = {
    "mask": {
        "bce": _per_image(F.binary_cross_entropy_with_logits),
        "dice": _per_image(lambda logits, mask: loss_terms.dice(logits.sigmoid(), mask)),
        **{kind: _of_mask(term) for kind, term in _BOTH.items()},
    },
    "depth": {
        **{kind: _of_depth(term) for kind, term in _BOTH.items()},
        "log_l1": _of_depth(loss_terms.log_l1),
        "object_log_l1": _of_depth(loss_terms.log_l1),
        "silog": _of_depth(loss_terms.silog),
        "matching": _of_depth(loss_terms.gradient_matching),
        "pairs": _pairs,
    },
}
