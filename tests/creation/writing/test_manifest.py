"""dataset.json says what a data set is."""

import json


def test_dataset_json_says_what_it_is(small):
    content = json.loads((small / "dataset.json").read_text())
    assert content["size"] == [64, 80] and content["depth"] == {"kind": "none"}
    assert content["counts"] == {
        "samples": 72, "backgrounds": 4, "cutouts": 3, "placements": 3, "flips": 2
    }  # fmt: skip
    assert [b["name"] for b in content["backgrounds"]] == [f"room{i}.png" for i in range(4)]
    groups = [b["group"] for b in content["backgrounds"]]
    assert groups[1] == groups[3] and len(set(groups)) == 3  # the mirror image
    assert len({c["group"] for c in content["cutouts"]}) == 3
    for shard in content["shards"]:
        assert shard["samples"] == 18 and (small / shard["name"]).stat().st_size == shard["bytes"]
