"""Training and evaluation mode, borrowed and given back."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """Evaluation mode inside, afterwards every part in the mode that it was in, also after an error.

    Parts are restored one by one, because frozen ones stay in evaluation mode while the rest trains. What is
    no module, such as a baseline, has no mode and is left alone.
    """
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
