"""The sheet of samples: what stands where, in which colours."""

import numpy as np
import torch

from mdlib.colours import UNKNOWN_RGB, depth_colours, depth_range
from mdlib.modeling.networks.base import MaskDepth
from mdlib.training.sample_sheet import CELL_PX, GAP_PX, LINE_PX, Shown, draw_sheet, take

GRAY = [round(255 * value) for value in UNKNOWN_RGB]


def made_up(count: int, size: tuple[int, int]) -> tuple[dict, MaskDepth]:
    """Pictures of one colour each; masks and depths that are told from each other."""
    full = torch.ones(count, 1, *size)
    depth = 0.2 * full
    depth[..., : size[1] // 2] = 0.6  # the left half is nearer
    truth = {"bg": 0.2 * full.expand(-1, 3, -1, -1), "fg_bg": 0.4 * full.expand(-1, 3, -1, -1)}
    truth |= {"mask": 0.6 * full, "depth": depth.clone()}
    return truth, MaskDepth(torch.logit(0.8 * full), depth.flip(-1))


def cell(sheet, column: int, row: int, size=(CELL_PX, CELL_PX)) -> np.ndarray:
    left = GAP_PX + column * (size[1] + GAP_PX)
    top = 2 * LINE_PX + row * (size[0] + GAP_PX)
    return np.asarray(sheet)[top : top + size[0], left : left + size[1]].astype(int)


def test_a_row_per_sample_and_a_column_per_picture():
    truth, found = made_up(3, (32, 32))
    truth["bg"][2] = 1.0
    sheet = draw_sheet(Shown(truth, found), "step 7")
    assert sheet.size == (GAP_PX + 6 * (CELL_PX + GAP_PX), 2 * LINE_PX + 3 * (CELL_PX + GAP_PX))
    for column, value in enumerate((51, 102, 153, 204)):
        assert (cell(sheet, column, 0) == value).all()
    assert (cell(sheet, 0, 2) == 255).all()
    limits = depth_range(truth["depth"].numpy())
    near, far = (depth_colours(np.full((1, 1), value, np.float32), limits)[0, 0] for value in (0.6, 0.2))
    for column, (left, right) in ((4, (near, far)), (5, (far, near))):  # true and predicted share the colours
        np.testing.assert_array_equal(cell(sheet, column, 0)[3, [3, -3]], [left, right])


def test_any_shape_and_unknown_depth():
    truth, found = made_up(1, (48, 96))
    truth["depth"][:] = torch.nan
    size = (CELL_PX, 2 * CELL_PX)
    sheet = draw_sheet(Shown(truth, found), "")
    assert (cell(sheet, 4, 0, size) == GRAY).all()
    assert len(np.unique(cell(sheet, 5, 0, size).reshape(-1, 3), axis=0)) == 2  # in colours of its own


def test_a_network_without_depth_has_no_columns_for_it():
    truth, found = made_up(2, (32, 32))
    sheet = draw_sheet(Shown(truth, found._replace(depth=None)), "step 7")
    assert sheet.width == GAP_PX + 4 * (CELL_PX + GAP_PX)


def test_taken_samples_are_copies_of_the_first_ones():
    truth, found = made_up(5, (32, 32))
    shown = take(truth, found, 4)
    assert {len(x) for x in (*shown.truth.values(), *shown.found)} == {4}
    assert take(truth, found._replace(depth=None), 4).found.depth is None
