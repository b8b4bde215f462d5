"""A network watched from outside while it calculates, and left as it was."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from mdlib.modeling.networks.base import evaluation_mode


@contextmanager
def hooked(
    modules: Iterable[tuple[str, nn.Module]],
    after: Callable[[str, object], object],
    before: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """While it lasts, `before(name)` and `after(name, output)` are called around each call of a module.

    modules: (name, module). What `after` returns takes the place of the output; None leaves it as it is.
    """
    with ExitStack() as hooks:
        for name, module in modules:
            if before is not None:
                hook = module.register_forward_pre_hook(lambda *_, name=name: before(name))
                hooks.callback(hook.remove)
            hook = module.register_forward_hook(lambda _, inputs, output, name=name: after(name, output))
            hooks.callback(hook.remove)
        yield


@contextmanager
def recorded(model: nn.Module) -> Iterator[None]:
    """While it lasts, autograd records the predictions of the model, its frozen parameters included."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)


def blocks_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What a drawing keeps together, (name, module): one level below each of the network's parts."""
    for part in dict.fromkeys(name for names in model.parts.values() for name in names):
        yield from _opened(part, model.get_submodule(part))


def _opened(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What is inside, and inside of lists, which are never called themselves; without what learns nothing."""
    for inner, block in module.named_children():
        if any(isinstance(part, nn.ModuleList) for part in (block, *block.children())):
            yield from _opened(f"{name}.{inner}", block)
        elif any(True for _ in block.parameters()):
            yield f"{name}.{inner}", block
