"""A network that says how near things are in a photograph: any Hugging Face model for depth estimation.

Such networks agree on nothing: most give closeness up to an unknown scale and shift, some distance, some
metres. What a network gives is read from its configuration where that says so, and tried out on a drawn room
in any case (`settle`).
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.files import sha256_of

DEFAULT = "depth-anything/Depth-Anything-V2-Small-hf"
BATCH = 8  # pictures; always the same ones together, so that rounding is the same in every run
_METRES = {"zoedepth", "glpn", "tipsv2_dpt"}  # types whose only output is metres
_HUB_SECONDS = 5  # to wait for an answer before giving up
_PROBES = (1, 4, 5)  # seeds of the drawn rooms
_PROBE_PX = 128
_CLEAR = 0.3  # rank correlation from which a direction counts as seen


class Source(NamedTuple):
    """Where a teacher is: the `name` it was asked for by, and the `folder` with its files on this machine."""

    name: str
    folder: Path

    def sha256(self) -> str:
        """One checksum of configuration and weights: another teacher has another."""
        settings = [self.folder / name for name in ("config.json", "preprocessor_config.json")]
        files = [path for path in settings if path.is_file()] + _weights(self.folder)
        lines = [f"{path.name} {sha256_of(path)}" for path in files]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def locate(name: str) -> Source:
    """Find a teacher by the path of a folder, or by its name on the Hugging Face Hub, where it is downloaded
    from once.

    Raises ImportError without the extra "teacher", FileNotFoundError where there is no such folder or name or
    no network, ValueError for a folder of something else.
    """
    _transformers()
    folder = Path(name).expanduser()
    if folder.is_dir():
        name = folder.resolve().name  # a recipe knows files by name and checksum, not by folder
    else:
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name:
            raise FileNotFoundError(f"--teacher {name}: there is no such folder; {_EXPECTED}")
        folder = _from_hub(name)
    if not (folder / "config.json").is_file() or not _weights(folder):
        raise ValueError(f"{folder} holds no depth network; {_EXPECTED}")
    return Source(name, folder)


_EXPECTED = "expected a folder with config.json, preprocessor_config.json and model.safetensors in it"


class Teacher:
    """A depth network, loaded on the GPU in half precision if there is one, else on the CPU."""

    def __init__(self, folder: Path):
        transformers = _transformers()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = torch.float16 if self.device.type == "cuda" else torch.float32
        logging = transformers.utils.logging
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # one for each worker would run through ours
        try:
            self._processor = transformers.AutoImageProcessor.from_pretrained(folder)
            network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
        except (ValueError, OSError, KeyError) as error:
            first = str(error).strip().split("\n")[0]
            raise ValueError(
                f"{folder} cannot be used as a teacher: transformers takes it for no depth-estimation model "
                f"({first})"
            ) from None
        finally:
            if bars:
                logging.enable_progress_bar()
        if getattr(self._processor, "do_pad", False):
            self._processor.do_pad = False  # a padded border would shift what comes out
        self._network = network.eval().to(self.device, self._dtype)
        kind = getattr(network.config, "depth_estimation_type", None)
        self.metric = kind == "metric" or network.config.model_type in _METRES

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """What the network gives for pictures (H,W,3) uint8 of one size: (N,H,W) float32."""
        results = []
        for start in range(0, len(pictures), BATCH):
            part = [np.array(img) for img in pictures[start : start + BATCH]]  # writable, as torch likes it
            pixels = self._processor(images=part, return_tensors="pt")["pixel_values"]
            output = self._network(pixel_values=pixels.to(self.device, self._dtype)).predicted_depth
            output = output.float().reshape(len(part), 1, *output.shape[-2:])
            size = part[0].shape[:2]
            results.append(F.interpolate(output, size, mode="bilinear", align_corners=False)[:, 0].cpu())
        given = torch.cat(results).numpy()
        if not np.isfinite(given).all():
            raise ValueError("the teacher gives values that are not finite: it is no use as a teacher")
        return given


class Answer(NamedTuple):
    """What a teacher gives for pictures: values (N,H,W) float32, and whether they are metres. `first` is the
    number of the first of these pictures among all."""

    values: np.ndarray
    metric: bool
    first: int


def ask(folder: str, sha256: str, pictures: Sequence[np.ndarray], first: int = 0) -> Answer:
    """Run the teacher in `folder` in this process, where it stays loaded; `pictures` as it takes them."""
    teacher = load(folder, sha256)
    return Answer(teacher(pictures), teacher.metric, first)


@lru_cache(maxsize=1)
def load(folder: str, sha256: str) -> Teacher:
    """The teacher in `folder`; ValueError where its checksum is another than the recipe's."""
    found = Source(folder, Path(folder)).sha256()
    if found != sha256:
        raise ValueError(
            f"{folder} holds another teacher than the recipe names (sha256 {found}, not {sha256})"
        )
    return Teacher(Path(folder))


def probe(folder: str, sha256: str) -> float:
    """Rank correlation (Spearman) between what a teacher gives and true closeness, in the middle of three
    drawn rooms."""
    from mdlib.rooms.generate import render_room

    rooms = [render_room(seed, (_PROBE_PX, _PROBE_PX)) for seed in _PROBES]
    given = load(folder, sha256)([room.rgb for room in rooms])
    return float(np.median([rank_correlation(a, 1 / r.z) for a, r in zip(given, rooms, strict=True)]))


def settle(name: str, metric: bool, correlation: float) -> tuple[str, str | None]:
    """What a teacher's values are, "metres", "closeness" or "distance", and what to warn of.

    `correlation` is what `probe` found: it decides between closeness and distance, which configurations do
    not tell; metres they do.
    """
    seen = f"rank correlation with true closeness in drawn rooms: {correlation:+.2f}"
    if metric:
        if correlation < -_CLEAR:
            return "metres", None
        says = "to give metres, but what it says is nearer is not" if correlation > _CLEAR else (
            "to give metres, but it shows no sense of depth"
        )  # fmt: skip
        return "metres", f"teacher {name} is configured {says} ({seen}); it is believed, so look at the depth"
    if correlation < -_CLEAR:
        return "distance", (
            f"teacher {name} is inverted: it gives larger values to what is farther away ({seen}). It is "
            f"taken as distance, and turned into closeness."
        )
    if correlation > _CLEAR:
        return "closeness", None
    return "closeness", (
        f"teacher {name} shows no sense of depth ({seen}). Its values are taken as closeness, larger = "
        f"nearer, as such networks give it; look at the depth before using it."
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of the same size; 0 where one is constant."""
    ranks = []
    for values in (a, b):
        _, place, counts = np.unique(values.reshape(-1), return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        ranks.append((last - (counts - 1) / 2)[place.reshape(-1)])  # equal values share their mean rank
    x, y = (rank - rank.mean() for rank in ranks)
    scale = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / scale) if scale > 0 else 0.0


def _from_hub(name: str) -> Path:
    """The folder of a model of the Hub; a copy downloaded before is used as it is, network or not."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        try:
            folder = Path(snapshot_download(name, local_files_only=True))
            if _weights(folder):
                return folder
        except FileNotFoundError:
            pass
        # Asked first, since this call alone gives up in time on a network that never answers.
        files = [file.rfilename for file in HfApi().model_info(name, timeout=_HUB_SECONDS).siblings]
        weights = "*.safetensors" if any(file.endswith(".safetensors") for file in files) else "*.bin"
        wanted = ["config.json", "preprocessor_config.json", weights, f"{weights}.index.json"]
        return Path(snapshot_download(name, allow_patterns=wanted, etag_timeout=_HUB_SECONDS))
    except Exception as error:  # networks fail in ways that differ from version to version of the library
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        raise FileNotFoundError(
            f"--teacher {name}: there is no folder of that name here, no copy downloaded before, and the "
            f"Hugging Face Hub gave none ({reason}). Check the name and the network, or download the model "
            f"where there is one (hf download {name} --local-dir FOLDER) and give --teacher FOLDER."
        ) from None


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def _transformers():
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f'--depth teacher needs the package transformers ({error}): pip install "mdlib[teacher]", or '
            f"make the data set with --depth none"
        ) from None
    return transformers
