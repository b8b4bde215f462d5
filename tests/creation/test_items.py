"""The table of placements as it is stored."""

import numpy as np

from mdlib.creation.items import COLUMNS
from mdlib.creation.placing.candidates import Rules
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.creation.placing.placements import place_all


def test_the_table_has_ids_of_fixed_width_and_keeps_every_value(cutout, photograph, room):
    placed = place_all(
        3, 1, Ground(room()), [Outline(cutout(i)) for i in range(2)], [False, True], 3, Rules()
    )
    head, *lines, end = placed.to_csv(7, 4, 5).decode().split("\n")
    assert head == COLUMNS == "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"
    assert end == "" and len(lines) == 12
    first = lines[0].split(",")
    assert first[:4] == ["0000012", "0001", "00000", "0"]
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    for column, name in enumerate(COLUMNS.split(",")):
        if name != "z_m":
            assert (table[:, column] == getattr(placed, name)).all()
    np.testing.assert_allclose(table[:, 7], placed.z_m, atol=0.0005)
    unknown = place_all(3, 1, Ground(photograph()), [Outline(cutout(1))], [False], 2, Rules())
    assert unknown.to_csv(6, 4, 4).decode().split("\n")[1].split(",")[7] == ""
