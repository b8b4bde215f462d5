"""Encoded bytes <-> arrays and tensors.

The only place where values change scale, layout or depth direction:

| stored | array | tensor on the device |
| --- | --- | --- |
| JPEG, WebP | H,W,3 uint8 | B,3,H,W float32 in [0, 1] |
| mask, 8-bit PNG | H,W uint8 | B,1,H,W float32, 0 to 1 |
| metric depth, 16-bit PNG in mm | H,W uint16 | closeness, nan unknown |
| relative depth, 8-bit PNG or JPEG of closeness | H,W uint8 | closeness |
| of other projects: mask in JPEG, depth far = white | H,W uint8 through a table | as above |

Millimetres: 0 = unknown, 65,535 = that far or farther. Closeness is NEAR_M / z: 1 at NEAR_M metres or
nearer, 0 infinitely far.
"""

import io
from contextlib import suppress

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mdlib.loading import pictures, png

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: PIL does the same, at about half the speed
    simplejpeg = None

NEAR_M = 0.5
FAR_MM = 65535
JPEG_SIGNATURE = b"\xff\xd8\xff"
RINGING = (16, 239)  # masks in JPEG: values at or beyond these are black or white that the encoder disturbed
COLOUR = 16  # levels between the channels of a pixel; gray that went through a JPEG stays below


def encode_jpeg(img: np.ndarray, quality: int = 90) -> bytes:
    """Picture (H,W,3) RGB or (H,W) gray, uint8, to JPEG bytes with full colour resolution (4:4:4)."""
    if img.dtype != np.uint8 or img.ndim not in (2, 3) or (img.ndim == 3 and img.shape[2] != 3):
        raise ValueError(f"JPEG needs (H,W,3) or (H,W) uint8, but got shape {img.shape} of {img.dtype}")
    if simplejpeg is None:
        buffer = io.BytesIO()
        Image.fromarray(img).save(buffer, "JPEG", quality=quality, subsampling=0)
        return buffer.getvalue()
    space, sampling = ("GRAY", "Gray") if img.ndim == 2 else ("RGB", "444")
    img = np.ascontiguousarray(img[..., None] if img.ndim == 2 else img)
    return simplejpeg.encode_jpeg(img, quality=quality, colorspace=space, colorsubsampling=sampling)


def encode_png(img: np.ndarray, level: int = 1) -> bytes:
    """Picture (H,W) uint8 or uint16, or (H,W,3) RGB or (H,W,4) RGBA, uint8, to PNG bytes; `level` of zlib."""
    if img.ndim == 2:
        return png.encode(img, level)
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """Picture bytes to an array: (H,W,3) uint8 RGB, (H,W) uint8 gray, or (H,W) uint16, as they lie there.

    Of other projects also RGBA where it is transparent in parts, uint16 RGB, and floats. The kind is read
    from the bytes, never from a file name. Raises ValueError for bytes that are no picture or a damaged one.
    """
    if data[:3] == JPEG_SIGNATURE and simplejpeg is not None:
        _, _, space, _ = _jpeg_header(data)
        try:
            if space == "Gray":
                return simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
            if space == "YCbCr":
                return simplejpeg.decode_jpeg(data, "RGB")
        except ValueError as error:
            raise ValueError(f"damaged JPEG data: {error}") from None
    elif data[:8] == png.SIGNATURE:
        gray = png.decode(data)
        if gray is not None:
            return gray if gray.dtype == np.uint8 else gray.astype(np.uint16)
    opened = pictures.open_source(data, "the data", turn=False)
    if opened.alpha is None:
        return opened.values
    return np.dstack([pictures.rgb_of(opened.values, opened.what), opened.alpha])


def decode_into(data: bytes, out: np.ndarray, reduce: int = 1) -> None:
    """Decode into `out`, C-contiguous (H,W,3) or (H,W) uint8, or (H,W) uint16.

    `reduce` = 2, 4 or 8: the picture is that many times as large as `out`. JPEG is then decoded at the
    smaller size, which saves most of the work; a mask is averaged (coverage stays coverage), and of 16-bit
    depth the pixel next to each centre is taken (distances are never averaged over an edge). A gray picture
    stored as three equal channels counts as gray. Raises ValueError for bytes that are no picture, a damaged
    one, or one of another size or kind.
    """
    if data[:3] == JPEG_SIGNATURE and simplejpeg is not None and _decode_jpeg_into(data, out, reduce):
        return
    img = decode(data)
    fit_into(pictures.rgb_of(img, "a picture") if out.ndim == 3 else as_gray(img), out, reduce)


def fit_into(img: np.ndarray, out: np.ndarray, reduce: int = 1) -> None:
    """Copy a decoded picture into `out`, 1 / `reduce` as large; ValueError for another size or kind."""
    expected = (out.shape[0] * reduce, out.shape[1] * reduce, *out.shape[2:])
    if img.shape != expected or img.dtype.itemsize != out.dtype.itemsize:
        raise ValueError(
            f"a picture of shape {img.shape} ({img.dtype}) where {expected} ({out.dtype}) was expected"
        )
    out[:] = img if reduce == 1 else _shrunk(img, reduce)


def is_gray_jpeg(data: bytes) -> bool:
    """Whether JPEG bytes hold one channel; read from their header."""
    if simplejpeg is not None:
        return _jpeg_header(data)[2] == "Gray"
    return decode(data).ndim == 2


def _decode_jpeg_into(data: bytes, out: np.ndarray, reduce: int) -> bool:
    """Decode a JPEG where it fits `out`; False where it is of another size or a rare kind."""
    smaller = {}
    if reduce > 1:  # of a picture that is a pixel larger or smaller, the reduced size would be the same
        if _jpeg_header(data)[:2] != (out.shape[0] * reduce, out.shape[1] * reduce):
            return False
        smaller = {"min_height": out.shape[0], "min_width": out.shape[1]}
    try:
        decoded = simplejpeg.decode_jpeg(data, "RGB" if out.ndim == 3 else "GRAY", buffer=out, **smaller)
    except ValueError as error:
        height, width, space, _ = _jpeg_header(data)
        if space in ("YCbCr", "Gray") and (height, width) == (out.shape[0] * reduce, out.shape[1] * reduce):
            raise ValueError(f"damaged JPEG data: {error}") from None
        return False
    return decoded.shape[:2] == out.shape[:2]


def as_gray(img: np.ndarray) -> np.ndarray:
    """Picture (H,W) or (H,W,3) uint8 whose channels agree, to (H,W); ValueError for a colour picture."""
    if img.ndim == 2:
        return img
    if img.shape[2] == 4:
        raise ValueError("a picture with transparent parts where a gray one was expected")
    if img.size and int((img.max(2) - img.min(2)).max()) > COLOUR:
        raise ValueError("a colour picture where a gray one was expected (a mask, or depth as one channel)")
    return img[..., 1].copy()  # green: half of what the eye and the JPEG encoder call brightness


def decode_jpegs_on(data: list[torch.Tensor], device: torch.device) -> torch.Tensor:
    """JPEG bytes (uint8 tensors) to (B,3,H,W) uint8 on `device`, in one batch; on CUDA by nvJPEG.

    Agrees with `decode` to a few levels, since decoders round differently. Raises ValueError for damaged
    data or pictures of different sizes.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        return torch.stack(decode_jpeg(data, mode=ImageReadMode.RGB, device=device))
    except RuntimeError as error:
        raise ValueError(f"a batch of JPEG pictures cannot be decoded on {device}: {error}") from None


def _shrunk(img: np.ndarray, factor: int) -> np.ndarray:
    if img.dtype.itemsize == 2:
        return img[factor // 2 :: factor, factor // 2 :: factor]
    height, width = img.shape[0] // factor, img.shape[1] // factor
    lines = img.reshape(height, factor, *img.shape[1:])  # whole rows are added first, which are contiguous
    rows = np.add(lines[:, 0], lines[:, 1], dtype=np.uint16)
    for y in range(2, factor):
        rows += lines[:, y]
    columns = rows.reshape(height, width, factor, *img.shape[2:])
    total = columns[:, :, 0] + columns[:, :, 1]
    for x in range(2, factor):
        total += columns[:, :, x]
    return (total + factor * factor // 2) // (factor * factor)


def shrink(stored: torch.Tensor, factor: int) -> torch.Tensor:
    """Pictures (B,C,H,W) as stored -> at 1 / `factor` of their size, as `decode_into` does it; any device."""
    if factor == 1:
        return stored
    if stored.dtype == torch.uint16:
        return stored[..., factor // 2 :: factor, factor // 2 :: factor].contiguous()
    return (F.avg_pool2d(stored.float(), factor) + 0.5).floor_().to(torch.uint8)


def _jpeg_header(data: bytes) -> tuple[int, int, str, str]:
    try:
        return simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise ValueError(f"damaged JPEG data: {error}") from None


def read_depth(source: pictures.Source, unit: str = "mm", name: str = "") -> np.ndarray:
    """Measured depth as (H,W) float32, distance along the optical axis in metres, nan = unknown.

    The source is one channel of 16 bits, wider integers or floats that count in `unit`; see `metres`.
    Raises ValueError for a picture with colours or 8 bits, which measures nothing.
    """
    opened = pictures.open_source(source, name)
    values = opened.values
    if values.ndim != 2 or values.dtype.itemsize == 1:
        mode = "L" if values.ndim == 2 else "RGB"
        raise ValueError(
            f"{opened.what} is a picture of mode {mode}; depth is 16-bit gray PNG in millimetres, 0 = "
            f"unknown, or in the unit that --depth-unit tells"
        )
    return metres(values, unit)


def metres(values: np.ndarray, unit: str = "mm") -> np.ndarray:
    """Stored depth to float32 metres; 0, less and, of integers, 65,535 are unknown: nan.

    unit: "mm", "cm", "m", or how many units a metre has, such as "5000" (TUM RGB-D) or "256" (KITTI).
    """
    per_metre = units_per_metre(unit)
    known = (values > 0) & (values != FAR_MM if values.dtype.kind in "iu" else np.isfinite(values))
    return np.where(known, values / per_metre, np.nan).astype(np.float32)


def units_per_metre(unit: str) -> float:
    """How many of `unit` a metre has; ValueError for what is no unit."""
    number = {"mm": 1000.0, "cm": 100.0, "m": 1.0}.get(unit, 0.0)
    with suppress(ValueError):
        number = number or float(unit)
    if 0 < number < float("inf"):
        return number
    raise ValueError(
        f"the unit of depth is {unit!r}; it is mm, cm, m, or how many units a metre has, such as 5000 (TUM "
        f"RGB-D) or 256 (KITTI)"
    )


def z_to_mm(z_m: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """Depth in metres, array or tensor, to uint16 millimetres; nan or not positive -> 0 = unknown."""
    if not isinstance(z_m, torch.Tensor):
        return z_to_mm(torch.tensor(z_m)).numpy()
    mm = (z_m * 1000.0).round_().clamp_(1, FAR_MM)
    return torch.where(z_m > 0, mm, 0.0).to(torch.uint16)


def z_to_closeness(z_m: torch.Tensor) -> torch.Tensor:
    """Depth in metres to closeness NEAR_M / z in [0, 1]; nan stays nan."""
    return (NEAR_M / z_m).clamp(max=1.0)


def closeness_to_z(closeness: torch.Tensor) -> torch.Tensor:
    """Closeness to depth in metres, at least NEAR_M; 0 becomes infinite, nan stays nan."""
    return NEAR_M / closeness


def depth_to_closeness(stored: torch.Tensor) -> torch.Tensor:
    """Stored depth to float32 closeness: uint16 millimetres (0 -> nan) or uint8 closeness (0..255).

    Float closeness stays as it is.
    """
    if stored.is_floating_point():
        return stored
    if stored.dtype == torch.uint8:
        return stored.float() / 255.0
    mm = stored.to(torch.int32).float()
    return torch.where(mm > 0, (NEAR_M * 1000.0 / mm).clamp(max=1.0), torch.nan)


def ringing_table(black: int = RINGING[0], white: int = RINGING[1]) -> np.ndarray:
    """For a mask that was stored as JPEG: the clean value of each stored one, (256,) uint8.

    Up to `black` -> 0, from `white` on -> 255, soft edges in between stay as they are. On soft masks of
    people at 224 px and JPEG quality 75, 1.4 % of the empty area is not 0 as stored and 0.01 % afterwards,
    and the mean error goes from 0.0010 to 0.0007 of full scale. At quality 95 there is little
    ringing, and the faintest part of soft edges that is lost weighs as much (0.0003 to 0.0004).
    """
    if not 0 <= black < white <= 255:
        raise ValueError(f"black is {black} and white {white}; they must be 0 <= black < white <= 255")
    table = np.arange(256, dtype=np.uint8)
    table[: black + 1], table[white:] = 0, 255
    return table


def inversion_table() -> np.ndarray:
    """For relative depth that was stored far = white: the closeness of each stored value, (256,) uint8."""
    return np.arange(255, -1, -1, dtype=np.uint8)


def to_unit(stored: torch.Tensor) -> torch.Tensor:
    """uint8 picture or mask to float32 in [0, 1]."""
    return stored.float() / 255.0


def to_imgs(unit: torch.Tensor) -> np.ndarray:
    """(B,C,H,W) floats, 0 to 1 (less or more is cut off), to (B,H,W,C) uint8 pictures."""
    return (unit.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
