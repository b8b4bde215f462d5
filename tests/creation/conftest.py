"""A depth network small enough for tests, saved like any other, so that the real code runs on it."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def teachers(tmp_path_factory) -> Callable[[str], Path]:
    """Folders of tiny networks (192,000 weights): teachers("near") answers every picture with the closeness
    of a corridor, teachers("far") with the opposite, teachers("blind") always with 0.5."""
    pytest.importorskip("transformers", reason='needs transformers: pip install "mdlib[teacher]"')
    import torch
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    folder = tmp_path_factory.mktemp("teachers")
    config = DPTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
        intermediate_size=32, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16],
        initializer_range=0.1, fusion_hidden_size=32, readout_type="ignore", use_auxiliary_head=False,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DPTForDepthEstimation(config)

        def save(name: str) -> None:
            network.save_pretrained(folder / name)
            DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / name)

        # Position decides almost everything: each patch is told its own, and of the last features such a sum
        # is taken as comes nearest to a corridor, whose floor is nearer than its ceiling.
        y, x = torch.meshgrid(torch.linspace(0, 1, 4), torch.linspace(0, 1, 4), indexing="ij")
        place = torch.stack([y, x, (y - 0.4).abs(), (x - 0.5).abs()], -1).reshape(16, 4)
        network.dpt.embeddings.position_embeddings.data[0, 1:] = 50 * place @ torch.randn(4, 16)
        y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
        corridor = torch.maximum((y - 0.4).abs(), (x - 0.5).abs()) + 0.3 * y + 0.2
        features = []
        last = network.head.head[-2]  # a convolution of 1 x 1, before the last ReLU
        last.register_forward_pre_hook(lambda _, given: features.append(given[0]))
        with torch.no_grad():
            network.eval()(pixel_values=torch.rand(8, 3, 1, 1) * 2 - 1 + torch.randn(8, 3, 32, 32) / 3)
            last.weight.zero_(), last.bias.fill_(0.5)
            save("blind")
            known = torch.cat([features[0], torch.ones(8, 1, 64, 64)], 1).permute(0, 2, 3, 1).reshape(-1, 33)
            wanted = corridor.repeat(8, 1).reshape(-1, 1)
            fitted = torch.linalg.lstsq(known.double(), wanted.double(), driver="gelsd").solution[:, 0]
            last.weight[0, :, 0, 0], last.bias[0] = fitted[:-1], fitted[-1]
            save("near")
            last.weight.neg_(), last.bias.neg_().add_(1.5)
            save("far")
    return lambda name: folder / name
