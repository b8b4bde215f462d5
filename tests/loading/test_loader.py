"""Order, sharding, prefetching: the same samples however they are fetched."""

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import EpochSampler, make_loader


def indices(loader):
    return [batch["index"].tolist() for batch in loader]


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 17), st.integers(1, 4), st.integers(0, 5), st.integers(0, 3))
def test_each_sample_once_over_all_processes(count, batch_size, world, seed, epoch):
    seen, lengths = [], set()
    for rank in range(world):
        sampler = EpochSampler(count, batch_size, True, seed, False)
        sampler.divide(rank, world)
        sampler.epoch = epoch
        batches = list(sampler)
        lengths.add(len(batches))
        assert len(batches) == len(sampler) and all(len(b) <= batch_size for b in batches)
        seen += np.concatenate(batches).tolist()
    assert sorted(seen) == list(range(count)) and len(lengths) == 1


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(1, 17), st.integers(1, 4), st.integers(0, 3), st.booleans())
def test_shares_make_the_batches_of_one_process(count, batch_size, world, start, drop_last):
    """In the order of the processes, nearly equal; divided anew, another number goes on at the same batch."""
    whole = EpochSampler(count, batch_size, True, 3, drop_last)
    shares = [EpochSampler(count, batch_size, True, 3, drop_last) for _ in range(world)]
    for rank, share in enumerate(shares):
        share.divide(rank, world)
        share.start = whole.start = start
    for batch, *parts in zip(whole, *shares, strict=True):
        assert np.concatenate(parts).tolist() == batch.tolist()
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(1, 9), st.integers(0, 12))
def test_starting_late_equals_skipping(count, batch_size, start):
    whole = EpochSampler(count, batch_size, True, 3, False)
    late = EpochSampler(count, batch_size, True, 3, False)
    late.start = start
    assert [b.tolist() for b in late] == [b.tolist() for b in whole][start:]


def test_the_order_depends_on_seed_and_epoch_alone(hand_made):
    data = open_dataset(hand_made[0])
    orders = {}
    for seed in (0, 1):
        for epoch in (0, 1):
            loader = make_loader(data, 7, shuffle=True, seed=seed)
            loader.set_epoch(epoch)
            orders[seed, epoch] = sum(indices(loader), [])
            assert sorted(orders[seed, epoch]) == list(range(60))
    assert len({tuple(order) for order in orders.values()}) == 4
    again = make_loader(data, 7, shuffle=True, seed=1)
    again.set_epoch(1)
    assert sum(indices(again), []) == orders[1, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_same_batches_however_they_are_fetched(hand_made, threads):
    data = open_dataset(hand_made[0])
    loader = make_loader(data, 8, shuffle=True, seed=4, threads=threads)
    for epoch, start in [(0, 0), (1, 0), (2, 5)]:
        loader.set_epoch(epoch, start)
        order = EpochSampler(60, 8, True, 4, False)
        order.epoch, order.start = epoch, start
        for batch, expected in zip(loader, order, strict=True):
            assert batch["index"].tolist() == expected.tolist()
            direct = data.batch(expected)
            for name in direct:
                torch.testing.assert_close(batch[name], direct[name], rtol=0, atol=0)


def test_drop_last(hand_made):
    data = open_dataset(hand_made[0])
    assert len(make_loader(data, 16)) == 4 and len(make_loader(data, 16, drop_last=True)) == 3
    assert [len(b) for b in indices(make_loader(data, 16, drop_last=True))] == [16, 16, 16]


def test_float_batch_by_hand(hand_made):
    folder, truth = hand_made
    data = open_dataset(folder)
    loader = make_loader(data, 60)
    batch = loader.to_float(next(iter(loader)))
    expected = truth["s000033"]
    assert all(tensor.dtype == torch.float32 for tensor in batch.values())
    np.testing.assert_allclose(batch["bg"][33].permute(1, 2, 0), expected["bg"] / 255, atol=1e-6)
    np.testing.assert_allclose(batch["fg_bg"][33].permute(1, 2, 0), expected["fg_bg"] / 255, atol=1e-6)
    np.testing.assert_allclose(batch["mask"][33, 0], expected["mask"] / 255, atol=1e-6)
    mm = expected["depth"].astype(float)
    closeness = np.where(mm > 0, np.minimum(1, 500 / np.maximum(mm, 1)), np.nan)
    np.testing.assert_allclose(batch["depth"][33, 0], closeness, atol=1e-6)


def test_depth_is_unknown_where_the_data_set_has_none(tmp_path, make_dataset):
    make_dataset(tmp_path / "d", depth="none")
    loader = make_loader(open_dataset(tmp_path / "d"), 4)
    depth = loader.to_float(next(iter(loader)))["depth"]
    assert depth.shape == (4, 1, 24, 32) and depth.isnan().all()


def test_a_damaged_sample_is_named_in_the_caller(tmp_path, make_dataset):
    make_dataset(tmp_path / "d")
    shard = tmp_path / "d" / "shard-00001.zip"
    content = bytearray(shard.read_bytes())
    at = content.index(b"mask/s000025.png") + len("mask/s000025.png")
    content[at : at + 8] = b"rubbish!"
    shard.write_bytes(content)
    loader = make_loader(open_dataset(tmp_path / "d"), 10, threads=2)
    with pytest.raises(ValueError, match="sample s000025, member mask/s000025.png"):
        indices(loader)


@pytest.mark.parametrize(
    "size, decoded",
    [
        ((24, 32), (24, 32)),
        ((20, 30), (24, 32)),
        ((12, 16), (12, 16)),
        ((10, 16), (12, 16)),
        ((3, 4), (3, 4)),
    ],
)
def test_smaller_pictures(hand_made, size, decoded):
    """Half size is decoded as such; any other is resized; depth is never averaged."""
    folder, truth = hand_made
    data = open_dataset(folder)
    loader = make_loader(data, 60, size=size)
    stored = next(iter(loader))
    assert stored["fg_bg"].shape[2:] == decoded
    batch = loader.to_float(stored)
    assert {tensor.shape[2:] for tensor in batch.values()} == {size}
    sample = truth["s000017"]
    means = sample["mask"].mean() / 255, sample["fg_bg"].mean() / 255, sample["bg"].mean() / 255
    for name, mean in zip(("mask", "fg_bg", "bg"), means, strict=True):
        assert abs(batch[name][17].mean() - mean) < 0.01, name
    stored_values = set(np.unique(500 / np.maximum(sample["depth"], 1).astype(np.float32)).round(5))
    given = batch["depth"][17][batch["depth"][17] < 1].numpy().astype(np.float32)
    assert {value.round(5) for value in given} <= stored_values


def test_many_backgrounds_are_resized_as_each_alone(tmp_path, make_dataset):
    make_dataset(tmp_path / "d", backgrounds=150, cutouts=1, copies=1, size=(16, 16))
    data = open_dataset(tmp_path / "d")
    loader = make_loader(data, 50, shuffle=True, size=12)
    for batch in loader:
        alone = data.backgrounds[batch["bg_index"]].float() / 255
        alone = F.interpolate(alone, (12, 12), mode="bilinear", antialias=True)
        torch.testing.assert_close(loader.to_float(batch)["bg"], alone, rtol=0, atol=0.5 / 255 + 1e-6)


def test_half_size_mask_by_hand(hand_made):
    folder, truth = hand_made
    data = open_dataset(folder)
    mask = truth["s000000"]["mask"].astype(int)
    quarters = mask[::2, ::2] + mask[1::2, ::2] + mask[::2, 1::2] + mask[1::2, 1::2]
    np.testing.assert_array_equal(data.batch([0], reduce=2)["mask"][0, 0], (quarters + 2) // 4)


DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.mark.parametrize("device", DEVICES)
def test_decoding_on_the_device_agrees(hand_made, device):
    data = open_dataset(hand_made[0])
    plain, late = make_loader(data, 16), make_loader(data, 16, decode_on_device=True)
    for one, other in zip(plain, late, strict=True):
        assert all(jpeg.dtype == torch.uint8 for jpeg in other["fg_bg"])
        expected, given = plain.to_float(one), late.to_float(other, device)
        assert (given["fg_bg"].cpu() - expected["fg_bg"]).abs().max() <= 3 / 255
        torch.testing.assert_close(given["mask"].cpu(), expected["mask"])


def test_a_batch_that_is_kept_is_never_overwritten(hand_made):
    data = open_dataset(hand_made[0])
    kept = list(make_loader(data, 4, threads=3))
    for batch in kept:
        direct = data.batch(batch["index"].numpy())
        torch.testing.assert_close(batch["mask"], direct["mask"], rtol=0, atol=0)


def test_memory_of_dropped_batches_is_used_again(hand_made):
    loader = make_loader(open_dataset(hand_made[0]), 4, threads=1)
    places = [batch["mask"].data_ptr() for batch in loader]
    assert len(set(places)) < len(places)


def test_stopping_early_leaves_no_thread(hand_made):
    before = set(threading.enumerate())
    for _ in range(3):
        batches = iter(make_loader(open_dataset(hand_made[0]), 4, threads=3))
        next(batches)
        batches.close()
    assert set(threading.enumerate()) <= before


def test_bad_arguments(hand_made):
    data = open_dataset(hand_made[0])
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        make_loader(data, 0)
    with pytest.raises(ValueError, match="rank is 2; of 2 processes"):
        make_loader(data, 4).divide(2, 2)


def _orders(data, threads, start=0, world=1):
    orders = []
    for epoch in range(3):
        parts = []
        for rank in range(world):
            loader = make_loader(data, 64, shuffle=True, seed=7, threads=threads)
            loader.divide(rank, world)
            loader.set_epoch(epoch, start)
            parts.append([index for batch in loader for index in batch["index"].tolist()])
        orders.append(parts)
    return orders


@pytest.mark.slow
def test_three_epochs_of_twenty_thousand(tmp_path, make_dataset):
    """Every sample once an epoch, in one order for any number of threads and processes."""
    make_dataset(tmp_path / "d", backgrounds=10, cutouts=20, copies=100, size=(16, 16))
    data = open_dataset(tmp_path / "d")
    assert len(data) == 20_000
    reference = _orders(data, 1)
    assert all(sorted(parts[0]) == list(range(20_000)) for parts in reference)
    assert _orders(data, 3) == reference
    for parts in _orders(data, 1, world=2):
        assert sorted(parts[0] + parts[1]) == list(range(20_000))
    late = _orders(data, 2, start=200)
    assert [parts[0] for parts in late] == [parts[0][200 * 64 :] for parts in reference]
