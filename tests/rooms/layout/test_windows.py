"""Windows are where the plan of the room says."""

import numpy as np

from mdlib.rooms.generate import render_room
from mdlib.rooms.layout.plan import plan_room

SIZE = (96, 96)


def test_windows_have_the_depth_of_the_wall():
    """Pixels whose ray meets a pane: nothing lies behind it, and most show the pane itself."""
    seen = 0
    for seed in range(8):
        plan = plan_room(seed, SIZE)
        camera, low, high = plan.camera, plan.room.low, plan.room.high
        right, down, forward = camera.axes()
        y, x = np.mgrid[0:96, 0:96] + 0.5
        d = (
            forward
            + ((x - 48) / camera.focal_px)[..., None] * right
            + ((y - 48) / camera.focal_px)[..., None] * down
        )
        for pane in plan.room.panes():
            axis, side = divmod(pane.face, 2)
            t = ((low, high)[side][axis] - camera.position[axis]) / d[..., axis]
            p = np.asarray(camera.position) + t[..., None] * d
            u = p[..., 2 if axis == 0 else 0]
            through = (
                (t > 0)
                & (u > pane.u[0])
                & (u < pane.u[1])
                & (p[..., 1] > pane.v[0])
                & (p[..., 1] < pane.v[1])
            )
            if through.sum() < 100 or seen > 3:
                continue
            seen += 1
            z = render_room(seed, SIZE).z
            assert (z[through] < t[through] + 1e-3).all()
            assert (np.abs(z - t)[through] < 1e-3).mean() > 0.2
    assert seen >= 2
