"""The options of a creation, and the recipe that follows from them."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from mdlib import __version__
from mdlib.creation.depth.teacher import DEFAULT, locate
from mdlib.creation.sources.pictures import folder_pictures
from mdlib.files import sha256_of
from mdlib.loading.codec import units_per_metre
from mdlib.loading.format import FORMAT
from mdlib.loading.masks import check_class

ENCODINGS = ("exact", "fast")
PRESETS = ("standard", "tiny", "cropped")
TINY_PIXELS = 64 * 64  # of a picture in which a tiny object can still be made out
_SCALE, _MIN_INSIDE = (0.25, 0.9), 0.5
_AS_GIVEN = (  # options that stand in a recipe as they are
    "seed", "placements", "flip", "scale", "min_inside", "preset", "feather_px", "objects", "shadow",
    "encoding", "jpeg_quality",
)  # fmt: skip
ADVANCED = {"advanced": True}  # left out of the short list of options


@dataclass(frozen=True)
class CreateConfig:
    """Makes a data set: every cut-out on every background, at several places."""

    out: Path
    """Folder of the data set. The same command goes on where an interrupted one stopped."""

    # Pictures
    bg: Path | None = None
    """Folder with pictures of empty backgrounds: JPEG, PNG or WebP of any size."""
    fg: Path | None = None
    """Folder with cut-outs: pictures with transparency, or any pictures together with --fg-mask."""
    fg_mask: Path | None = None
    """Folder with the masks of the cut-outs: white = object, under the same file names."""
    mask_class: str = field(default="", metadata=ADVANCED)
    """Of masks with several classes, the one that is the object: its number, or its colour as #rrggbb."""
    rooms: int = 0
    """Draw this many rooms instead of --bg: with exact depth."""
    props: int = 0
    """Draw this many objects instead of --fg."""
    size: int | tuple[int, int] = 224
    """Height and width in pixels; one number for both."""
    upscale: bool = field(default=False, metadata=ADVANCED)
    """Accept backgrounds that are smaller than the size asked for, and enlarge them."""

    # Depth
    depth: Literal["scene", "teacher", "none"] | None = None
    """Where depth comes from, scene, teacher or none: "scene" (that of rooms or --bg-depth), "teacher" (a
    network's guess, for photographs) or "none". Without it, scene if there is any."""
    bg_depth: Path | None = field(default=None, metadata=ADVANCED)
    """Folder with the measured depth of the pictures in --bg, under the same file names: 16-bit PNG, 0 and
    65,535 = unknown."""
    depth_unit: str = field(default="mm", metadata=ADVANCED)
    """Unit of --bg-depth: mm, cm, m, or how many a metre has, such as 5000 (TUM RGB-D) or 256 (KITTI)."""
    fov: float = field(default=60.0, metadata=ADVANCED)
    """Horizontal field of view of the pictures in --bg in degrees; used where they have depth in metres."""
    teacher: str = field(default=DEFAULT, metadata=ADVANCED)
    """Network for --depth teacher: any Hugging Face model for depth estimation, by its name there or by the
    path of a local folder."""
    teacher_on: Literal["bg", "composite"] = field(default="bg", metadata=ADVANCED)
    """What the teacher looks at: "bg" (each background and each cut-out once, then put together) or
    "composite" (every finished picture, which takes much longer)."""

    # Placement
    placements: int = 20
    """Places for each cut-out and background."""
    flip: bool = True
    """Also use each cut-out mirrored: at as many places."""
    objects: int = field(default=1, metadata=ADVANCED)
    """Objects in a sample: 1 to this many. Far ones are drawn first; the mask is that of all of them."""
    scale: tuple[float, float] = field(default=_SCALE, metadata=ADVANCED)
    """Range of an object's height over the picture's, where there is no depth."""
    min_inside: float = field(default=_MIN_INSIDE, metadata=ADVANCED)
    """Least share of an object's area inside the picture."""
    preset: Literal["standard", "tiny", "cropped"] = field(default="standard", metadata=ADVANCED)
    """Hard sets to evaluate on: "tiny", each object covers less than 1 % of the picture; "cropped", more than
    half of each object lies outside. They choose scale and min_inside themselves. Give the --bg, --fg or
    --rooms, --props and the --seed of the data trained on, so that the same ones count as never seen."""
    feather_px: float = field(default=0.0, metadata=ADVANCED)
    """Soften the edges of objects by this many pixels (standard deviation, 0 to 2)."""
    shadow: bool = field(default=False, metadata=ADVANCED)
    """Let objects cast a soft shadow, on the floor and walls where there is depth. It belongs to the picture,
    not to the mask."""

    # Work
    seed: int = 0
    """What all random choices follow from."""
    workers: int = 2
    """Processes to work in."""
    recipe_only: bool = False
    """Store no pictures of samples: only the sources and the table of placements, from which training
    composes the samples as it goes. The same command without this option stores them afterwards."""
    dask: str | None = field(default=None, metadata=ADVANCED)
    """Address of a Dask scheduler, such as tcp://10.0.0.1:8786. Its workers then do the work, on any machines
    that see the folder under the same path."""
    encoding: str = field(default="exact", metadata=ADVANCED)
    """How depth is stored: "exact" (metres as 16-bit PNG in millimetres, a teacher's relative depth as 8-bit
    PNG of closeness) or "fast" (8-bit JPEG of closeness)."""
    jpeg_quality: int = field(default=90, metadata=ADVANCED)
    """Quality of the pictures, 1 to 100."""

    @property
    def height_width(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else tuple(self.size)

    @property
    def depth_from(self) -> str:
        """Where depth comes from, "scene", "teacher" or "none"."""
        return self.depth or ("none" if self.bg is not None and self.bg_depth is None else "scene")

    def check(self) -> None:
        """Raise ValueError with a sentence for options that make no sense."""
        if (self.bg is None) == (self.rooms == 0):
            raise ValueError("give backgrounds one way: --bg DIR for pictures, or --rooms N for drawn rooms")
        if (self.fg is None) == (self.props == 0):
            raise ValueError("give cut-outs one way: --fg DIR for pictures, or --props N for drawn objects")
        if self.fg_mask is not None and self.fg is None:
            raise ValueError("--fg-mask holds masks of the pictures in --fg, which is not given")
        check_class(self.mask_class)
        if self.mask_class and self.fg_mask is None:
            raise ValueError(
                "--mask-class chooses among the classes of the masks in --fg-mask, which is not given"
            )
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding is {self.encoding!r}; there are 'exact' and 'fast'")
        if self.preset not in PRESETS:
            raise ValueError(f"preset is {self.preset!r}; there are {', '.join(PRESETS)}")
        if self.preset != "standard" and (self.scale, self.min_inside) != (_SCALE, _MIN_INSIDE):
            raise ValueError(f"--preset {self.preset} chooses scale and min_inside itself; leave them out")
        if self.preset == "tiny" and self.height_width[0] * self.height_width[1] < TINY_PIXELS:
            raise ValueError("--preset tiny needs pictures of 64 x 64 pixels or more")
        if self.preset != "standard" and self.objects > 1:
            raise ValueError(f"--preset {self.preset} is about single objects; leave out --objects")
        self._check_depth()
        low, high = self.scale
        limits = [
            ("rooms", self.rooms, 0, 100_000), ("props", self.props, 0, 100_000),
            ("placements", self.placements, 1, 100_000), ("workers", self.workers, 1, 1024),
            ("height", self.height_width[0], 16, 4096), ("width", self.height_width[1], 16, 4096),
            ("seed", self.seed, 0, 2**63), ("jpeg_quality", self.jpeg_quality, 1, 100),
            ("scale (lowest)", low, 0.01, high), ("scale (highest)", high, low, 4),
            ("min_inside", self.min_inside, 0, 0.98), ("feather_px", self.feather_px, 0, 2),
            ("fov", self.fov, 10, 150), ("objects", self.objects, 1, 100),
        ]  # fmt: skip
        for name, value, least, most in limits:
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; it must be from {least} to {most}")

    def _check_depth(self) -> None:
        if self.depth not in (None, "scene", "teacher", "none"):
            raise ValueError(f"depth is {self.depth!r}; there are 'scene', 'teacher' and 'none'")
        if self.teacher_on not in ("bg", "composite"):
            raise ValueError(f"teacher_on is {self.teacher_on!r}; there are 'bg' and 'composite'")
        if self.bg_depth is not None and self.bg is None:
            raise ValueError("--bg-depth holds the depth of the pictures in --bg, which is not given")
        units_per_metre(self.depth_unit)
        if self.depth_unit != "mm" and self.bg_depth is None:
            raise ValueError("--depth-unit is the unit of the pictures in --bg-depth, which is not given")
        if self.depth == "scene" and self.bg is not None and self.bg_depth is None:
            raise ValueError(
                "--depth scene: photographs hold no depth. Give what was measured with --bg-depth DIR "
                "(16-bit PNG in millimetres), have it guessed with --depth teacher, or draw rooms with "
                "--rooms N"
            )
        if self.depth == "teacher" and (self.bg is None or self.bg_depth is not None):
            exact = "drawn rooms have" if self.bg is None else "--bg-depth gives"
            raise ValueError(
                f"--depth teacher is for photographs, but {exact} exact depth: use --depth scene"
            )

    @classmethod
    def settings_in(cls, found: dict[str, Any]) -> dict[str, Any]:
        """What a JSON file sets: its fields, or, of the recipe.json of a data set, the settings behind it.

        Pictures stand there by name alone, so their folders must be given again.
        """
        if not isinstance(found.get("backgrounds"), dict) or not isinstance(found.get("cutouts"), dict):
            return found
        names = {one.name for one in fields(cls)} - {"teacher", "bg_depth"}
        settings = {name: value for name, value in found.items() if name in names}
        for key, drawn in (("backgrounds", "rooms"), ("cutouts", "props")):
            if found[key]["kind"] == drawn:
                settings[drawn] = found[key]["count"]
        settings |= {
            name: found["backgrounds"][name] for name in ("upscale", "fov") if name in found["backgrounds"]
        }
        if "teacher" in found:
            settings |= {"teacher": found["teacher"]["name"], "teacher_on": found["teacher"]["on"]}
        return settings


def make_recipe(config: CreateConfig) -> dict:
    """Everything that decides the bytes of the data set; pictures by name and checksum, not by folder."""
    backgrounds, cutouts = {"kind": "rooms", "count": config.rooms}, {"kind": "props", "count": config.props}
    if config.bg is not None:
        backgrounds = _folder(config.bg, "backgrounds", upscale=config.upscale, fov=config.fov)
    if config.fg is not None:
        cutouts = _folder(config.fg, "cut-outs")
    made = {
        "format": FORMAT,
        "mdlib": __version__,
        "size": list(config.height_width),
        **{name: getattr(config, name) for name in _AS_GIVEN},
        "scale": list(config.scale),
        "depth": config.depth_from,
        "backgrounds": backgrounds,
        "cutouts": cutouts,
    }
    if config.fg_mask is not None:
        made["masks"] = _folder(config.fg_mask, "masks of the cut-outs")
        if config.mask_class:
            made["masks"]["class"] = config.mask_class
    if config.bg_depth is not None:
        made["bg_depth"] = _folder(config.bg_depth, "depth of the backgrounds")
        if config.depth_unit != "mm":
            made["depth_unit"] = config.depth_unit
    if config.depth_from == "teacher":
        source = locate(config.teacher)
        made["teacher"] = {"name": source.name, "sha256": source.sha256(), "on": config.teacher_on}
    return made


def _folder(folder: Path, what: str, **options: object) -> dict:
    """A folder of pictures as a recipe knows it; `what` names their use in errors."""
    files = [{"name": path.name, "sha256": sha256_of(path)} for path in folder_pictures(folder, what)]
    return {"kind": "folder", **options, "files": files}
