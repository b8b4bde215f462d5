"""Draws the two pictures that the panels show when nobody gives them any: assets/sample/.

python -m benchmarks.release.sample
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mdlib.loading.codec import z_to_closeness
from mdlib.rooms.generate import render_room_with_prop
from mdlib.viewing.scenes import png_files

ROOM, PROP, SIZE = 21, 7, (224, 224)

if __name__ == "__main__":
    folder = Path(__file__).resolve().parents[2] / "assets/sample"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = render_room_with_prop(ROOM, PROP, SIZE)
    for name, img in {"bg": drawn.room.rgb, "fg_bg": drawn.rgb}.items():
        Image.fromarray(img).save(folder / f"{name}.jpg", quality=92, subsampling=0)
    closeness = z_to_closeness(torch.from_numpy(np.array(drawn.z))).numpy()
    for name, data in png_files(drawn.mask, closeness).items():
        (folder / name).write_bytes(data)
    print(folder)
