"""Every texture, of coverings and of things, stays in range at any distance."""

import pytest
import torch

from mdlib.rooms.materials.patterns import TEXTURES
from mdlib.rooms.materials.texture import Material, Patch


def patch(n=400, w=0.002):
    generator = torch.Generator().manual_seed(1)
    u, v = (torch.rand(n, generator=generator) * 2 - 1 for _ in range(2))
    one = torch.ones(n)
    return Patch(
        u, v, one * w, one * w, one, one, torch.ones(n, dtype=torch.bool), (0.3 * one, 0.1 * u, 0.9 * one)
    )


@pytest.mark.parametrize("kind", sorted(TEXTURES))
def test_every_texture_gives_finite_colours_of_light(kind):
    colors = ((0.5, 0.4, 0.3), (0.2, 0.2, 0.25), (0.6, 0.5, 0.1), (0.1, 0.2, 0.5), (0.3, 0.3, 0.2))
    for seed in range(1, 5):
        for w in (0.001, 0.02, 0.7):
            material = Material(
                kind, colors[: 2 if kind == "tiles" and seed % 2 else 5], scale=0.15, seed=seed
            )
            color = TEXTURES[kind](patch(w=w), material)
            for channel in color:
                value = torch.as_tensor(channel)
                assert value.isfinite().all() and value.min() >= 0 and value.max() < 1.6
