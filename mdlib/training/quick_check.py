"""A quick look at the validation set, while training goes on."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mdlib.evaluation.metrics import mask_metrics
from mdlib.signals import StopRequest
from mdlib.training.augment import FAMILIES, disturb_each, resize, sample_seeds
from mdlib.training.sample_sheet import Shown, take

SHOWN = 4  # samples on a sheet


@torch.no_grad()
def quick_check(
    model: nn.Module,
    loader,
    pairs: int,
    size: int | None,
    stop: StopRequest,
    show: Callable[[Shown], None],
) -> dict[str, float] | None:
    """Means over the first `pairs` samples of the loader's epoch 0; None where `stop` was asked for.

    iou: of the pictures as they are; iou_disturbed: of the same pictures, the disturbances taking turns;
    depth_error: mean |closeness - true closeness| over known pixels, left out where none is known. The full
    protocol is evaluation.protocol. `show` gets the first samples and what the network makes of them.
    """
    found: dict[str, list[Tensor]] = {"iou": [], "iou_disturbed": [], "depth_error": []}
    seen, shown, device = 0, None, next(model.parameters()).device
    loader.set_epoch(0)
    for raw in loader:
        if stop.name:
            return None
        if seen >= pairs:
            break
        batch = {name: x[: pairs - seen] for name, x in resize(loader.to_float(raw, device), size).items()}
        numbers = range(seen, seen + len(batch["bg"]))
        seen += len(batch["bg"])
        families = [(FAMILIES[number % len(FAMILIES)],) for number in numbers]
        disturbed = disturb_each(batch, families, sample_seeds(pairs, 0)[numbers.start : numbers.stop])
        for name, looked in (("iou", batch), ("iou_disturbed", disturbed)):
            pred = model(looked["bg"], looked["fg_bg"])
            found[name].append(mask_metrics(pred.mask_logits.sigmoid(), batch["mask"])["iou"])
            shown = shown or take(batch, pred, SHOWN)
            if name == "iou" and pred.depth is not None:
                found["depth_error"].append(((pred.depth - batch["depth"]).abs()).flatten(1).nanmean(1))
    means = {name: torch.cat(values).nanmean().item() for name, values in found.items() if values}
    show(shown)
    return {name: mean for name, mean in means.items() if mean == mean}
