"""How the known networks of this kind were trained, as settings of TrainConfig.

A recipe is a set of settings that take the place of the defaults; whatever else is given goes before it. So
`from_recipe("unet-shared", data=..., epochs=2)` trains for 2 epochs, and the command line's
`--recipe unet-shared --epochs 2` as well. Sizes are those of the pictures of the time; where the data set has
smaller ones, they are enlarged.

What the authors wrote down is taken over: network, losses, optimizer, sizes, batch sizes, rates, what was
frozen. Three things that they all did are not repeated: pictures normalised by the mean of the data set,
a random split, and weights that were picked by the validation set.
"""

from typing import Any

from mdlib.training.config import TrainConfig

# None of them averaged weights, clipped gradients, warmed up or disturbed the pictures.
PLAIN = {"ema": 0.0, "clip": 0.0, "warmup": 0.0, "augment": 0.0, "schedule": "constant"}

RECIPES: dict[str, dict[str, Any]] = {
    # Ours: what TrainConfig has as defaults. AdamW along a cosine after a warm-up, averaged weights, and
    # every second picture disturbed, as the evaluation does it.
    "mdnet": {},
    # SGD of 0.01, lowered when the validation became no better. First at 80 px, with BCE for the mask and
    # L1 for depth; then at 160 px, where depth turned gray until SSIM and the Sobel gradient were added, and
    # SSIM to the mask. Batches of 128 and 64; mirrored pictures, which our data has. Not told, and assumed:
    # momentum 0.9, half of the run for each size, terms of equal weight, when and how far the rate falls.
    # The encoder began with ImageNet weights, which are a download: --model-options pretrained True.
    "resnet18-upproj": {
        **PLAIN,
        "model": "resnet18-upproj",
        "optimizer": "sgd",
        "schedule": "plateau",
        "checks": 20,
        "stages": "80:0.5:128:loss=BCE + L1,160:0.5:64",
        "loss": "BCE + SSIM and L1 + gradient + SSIM",
    },
    # SGD with momentum in 10 epochs: depth first, with the encoder, then the mask decoder alone; each at
    # 112 px in batches of 128, then at 224 px in batches of 32; the rate set by hand in each epoch.
    # Not told, and assumed: momentum 0.9.
    "unet-shared": {
        **PLAIN,
        "model": "unet-shared",
        "optimizer": "sgd",
        "epochs": 10,
        "loss": "BCE + L1",
        "stages": ",".join(
            f"{size}:{epochs}:{batch}:lr={lr}:freeze={frozen}"
            for size, epochs, batch, lr, frozen in (
                (112, 1, 128, 0.01, "mask_decoder"),
                (112, 2, 128, 0.001, "mask_decoder"),
                (224, 1, 32, 0.01, "mask_decoder"),
                (224, 1, 32, 0.001, "mask_decoder"),
                (224, 1, 32, 0.0001, "mask_decoder"),
                (112, 1, 128, 0.01, "encoder+depth_decoder"),
                (112, 1, 128, 0.001, "encoder+depth_decoder"),
                (224, 1, 32, 0.01, "encoder+depth_decoder"),
                (224, 1, 32, 0.0001, "encoder+depth_decoder"),
            )
        ),
    },
    # Two U-Nets beside each other: Adam of 0.01, lowered on a plateau, at most 10 epochs, BCE for the mask
    # and SSIM for depth. Not told, and assumed: batches of 32, torch's factor (0.1).
    "unet-twin": {
        **PLAIN,
        "model": "unet-twin",
        "optimizer": "adam",
        "lr": 0.01,
        "schedule": "plateau",
        "checks": 10,
        "epochs": 10,
        "batch_size": 32,
        "loss": "BCE + SSIM",
    },
    # BCE for the mask, SSIM for depth, at 224 px. Not told, and assumed: Adam of 0.001, batches of 32.
    "resnet18-autoencoder": {
        **PLAIN,
        "model": "resnet18-autoencoder",
        "optimizer": "adam",
        "batch_size": 32,
        "loss": "BCE + SSIM",
    },
    # The first attempts, of which little is told: SGD of 0.01 and BCE at the smallest size of their projects.
    # Assumed: momentum 0.9, and for fcn batches of 32, the most that its memory allows.
    "conv2-mask": {
        **PLAIN,
        "model": "conv2-mask",
        "optimizer": "sgd",
        "size": 80,
        "batch_size": 128,
        "loss": "BCE + L1",
    },
    "fcn": {
        **PLAIN,
        "model": "fcn",
        "optimizer": "sgd",
        "size": 112,
        "batch_size": 32,
        "loss": "BCE + L1",
    },
}


def from_recipe(name: str, **settings: Any) -> TrainConfig:
    """The config of a recipe; `settings` go before what the recipe says. `data` must be among them.

    Raises ValueError for an unknown recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; there are {', '.join(RECIPES)}")
    return TrainConfig(**{**RECIPES[name], **settings})
