"""Which pictures are the same place or thing, the four sets that follow, and the leaky random split.

Backgrounds and cut-outs are grouped before they are split: the same picture, its mirror image, and another
crop of the same photograph are one group, and a group is never divided.
"""

import hashlib
import zlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

SETS = ("train", "new_fg", "new_bg", "new_both")
_SIDE = 48  # pixels; enough to tell rooms apart, small enough for a thousand pictures in a minute or two
_SHIFT = 16  # pixels of _SIDE: two crops of one photograph overlap by two thirds or more in each direction
_HELD_OUT = 0.2  # of the groups of each kind
_RANDOM_SHARE = 0.7  # of the samples, for training, where they are split at random
_AT_ONCE = 32  # pictures whose numbers fit into a processor's cache
_SAME = 0.70  # correlation above which two pictures count as one; strangers reach 0.69 at the very most


def group_duplicates(imgs: Sequence[np.ndarray]) -> list[int]:
    """Group numbers of pictures (H,W,3 uint8, any sizes): equal numbers = near-duplicates of one another.

    Two pictures belong together when the normalised cross-correlation of their gradients reaches 0.7
    at some shift of up to a third of the picture, as they are or with one of them mirrored. Gradients
    make it blind to brightness; shifts find crops of one wide photograph, which perceptual hashes miss.
    Groups are transitive and numbered in the order of their first picture.
    """
    if not len(imgs):
        return []
    plain = [_gradients(img) for img in imgs]
    mirror = [_gradients(img[:, ::-1]) for img in imgs]
    spectra, energies = _spectra(plain)
    both = (spectra, energies), _spectra(mirror)
    candidates = [(others, _seen_from_there(their)) for others, their in both]
    parent = list(range(len(imgs)))
    first: dict[tuple, int] = {}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, img in enumerate(imgs):  # the very same pixels, even where there is no gradient to compare
        parent[i] = first.setdefault((img.shape, hashlib.sha256(img.tobytes()).digest()), i)
    for i in range(len(imgs) - 1):
        best = [
            _best_correlation(spectra[i], energies[i], others[k : k + _AT_ONCE], their[k : k + _AT_ONCE])
            for others, their in candidates
            for k in range(i + 1, len(imgs), _AT_ONCE)
        ]
        for j in torch.nonzero(torch.cat(best).view(2, -1).amax(0) >= _SAME).flatten().tolist():
            a, b = sorted((root(i), root(i + 1 + j)))
            parent[b] = a
    number: dict[int, int] = {}
    return [number.setdefault(root(i), len(number)) for i in range(len(imgs))]


def four_sets(
    bg_groups: Sequence[int], fg_groups: Sequence[int], bg: np.ndarray, fg: np.ndarray, seed: int = 0
) -> dict[str, np.ndarray]:
    """Sample numbers (int64) of the sets `train`, `new_fg`, `new_bg` and `new_both`.

    `bg_groups`, `fg_groups`: group of each background and cut-out; `bg` (N,), `fg` (N,) or (N,K): background
    and cut-outs of each sample. Samples with seen and unseen cut-outs are in no set. A fifth of the
    groups of each kind (at least one, and at least one stays) is unseen in training. Depends on nothing
    but its arguments, on every machine.
    """
    new_bg = _held_out("bg", bg_groups, seed)[bg]
    new_fg = _held_out("fg", fg_groups, seed)[fg].reshape(len(fg), -1)
    seen, unseen = ~new_fg.any(1), new_fg.all(1)
    chosen = (~new_bg & seen, ~new_bg & unseen, new_bg & seen, new_bg & unseen)
    return {name: np.flatnonzero(which) for name, which in zip(SETS, chosen, strict=True)}


def random_sets(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers of `count` samples as `train` and `random`, which shows nothing that `train` did not.

    Only to show how much a split at random flatters: the leak gap is the score on `random` of a network
    trained on this `train`, minus the score on `new_both` of one trained on the strict `train`.
    """
    order = random_order(count, "random split", "", seed)
    first = round(_RANDOM_SHARE * count)
    return {"train": np.sort(order[:first]), "random": np.sort(order[first:])}


def random_order(count: int, purpose: str, name: str, seed: int) -> np.ndarray:
    """The numbers 0 to `count` - 1 (int64) in an order that depends on nothing but the arguments.

    It comes from sorting the raw output of PCG64, which numpy keeps the same in every version.
    """
    key = [zlib.crc32(purpose.encode()), zlib.crc32(name.encode()), seed]
    return np.argsort(np.random.PCG64(np.random.SeedSequence(key)).random_raw(count), kind="stable")


def _held_out(kind: str, groups: Sequence[int], seed: int) -> np.ndarray:
    """For each picture, whether its group is held out."""
    distinct = sorted(set(groups))
    if len(distinct) < 2:
        raise ValueError(
            f"a split needs at least 2 different {kind} pictures (near-duplicates count once), "
            f"but this data set has {len(distinct)}"
        )
    count = min(max(1, round(_HELD_OUT * len(distinct))), len(distinct) - 1)
    shuffled = sorted(distinct, key=lambda g: hashlib.sha256(f"{kind} {seed} {g}".encode()).digest())
    return np.isin(np.asarray(groups), shuffled[:count])


def _gradients(img: np.ndarray) -> torch.Tensor:
    """Horizontal and vertical Sobel gradient of the gray picture, (2, _SIDE, _SIDE)."""
    gray = Image.fromarray(np.ascontiguousarray(img)).convert("L")
    gray = np.asarray(gray.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)
    padded = F.pad(torch.from_numpy(gray.copy())[None, None], (1, 1, 1, 1), mode="replicate")
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return F.conv2d(padded, torch.stack([sobel, sobel.T])[:, None])[0]


def _spectra(gradients: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded spectra, and at each shift the energy of the part that overlaps a shifted frame."""
    size = (2 * _SIDE, 2 * _SIDE)
    stacked = torch.stack(gradients)  # (N, 2, s, s)
    frame = torch.fft.rfft2(torch.ones(_SIDE, _SIDE), size)
    energy = torch.fft.rfft2((stacked**2).sum(1), size) * frame.conj()
    return torch.fft.rfft2(stacked, size), torch.fft.irfft2(energy, size)


def _seen_from_there(energies: torch.Tensor) -> torch.Tensor:
    """At each shift the value at the opposite one."""
    return torch.roll(energies.flip((-2, -1)), (1, 1), (-2, -1))


def _best_correlation(
    spectrum: torch.Tensor, energy: torch.Tensor, others: torch.Tensor, opposite: torch.Tensor
) -> torch.Tensor:
    """Highest normalised correlation over all shifts, of one picture with each of the others."""
    product = torch.fft.irfft2((spectrum * others.conj()).sum(1), (2 * _SIDE, 2 * _SIDE))
    correlation = product / (energy * opposite).clamp(min=1.0).sqrt()
    window = torch.roll(correlation, (_SHIFT, _SHIFT), (-2, -1))[:, : 2 * _SHIFT + 1, : 2 * _SHIFT + 1]
    return window.flatten(1).amax(1)
