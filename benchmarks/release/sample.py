"""Draws the two pictures that the panels show when nobody gives them any: assets/sample/.

python -m benchmarks.release.sample
"""

from pathlib import Path

from PIL import Image

from mdlib.viewing.scenes import drawn_scene, png_files

ROOM, PROP, SIZE = 21, 7, (224, 224)

if __name__ == "__main__":
    folder = Path(__file__).resolve().parents[2] / "assets/sample"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = drawn_scene(ROOM, PROP, SIZE)
    for name in ("bg", "fg_bg"):
        Image.fromarray(drawn[f"{name}_img"]).save(folder / f"{name}.jpg", quality=92, subsampling=0)
    for name, data in png_files(drawn["mask"], drawn["depth"]).items():
        (folder / name).write_bytes(data)
    print(folder)
