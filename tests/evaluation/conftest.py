"""What the tests of the disturbances share: smooth rooms with an object."""

from collections.abc import Callable

import pytest
import torch


@pytest.fixture(scope="session")
def scene() -> Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """scene(count, height, width) -> bg, fg_bg, mask: smooth colours, an upright ellipse with soft edges."""

    def draw(
        count: int = 3, height: int = 48, width: int = 64
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        numbers = torch.Generator().manual_seed(1)
        coarse = torch.rand(count, 3, 9, 9, generator=numbers)
        bg = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        mask = ((0.5 - ((x / 0.3) ** 2 + (y / 0.6) ** 2)) * 8).sigmoid()
        mask = torch.where(mask > 0.01, mask, 0.0).expand(count, 1, height, width)
        colour = torch.rand(count, 3, 1, 1, generator=numbers)
        return bg, mask * colour + (1 - mask) * bg, mask

    return draw
