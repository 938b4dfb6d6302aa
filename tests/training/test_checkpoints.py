"""Checkpoints: whole or not at all, refused when damaged or foreign, kept and thrown away."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from textgauge.errors import BundleError, StorageError
from textgauge.training.checkpoints import FORMAT, Checkpoint, CheckpointKeeper
from textgauge.training.history import Epoch


def make_checkpoint(seed=0, epochs=2):
    generator = torch.Generator().manual_seed(seed)
    return Checkpoint(
        weights={"a.weight": torch.randn(3, 4, generator=generator), "b": torch.ones(2)},
        best_weights={"a.weight": torch.randn(3, 4, generator=generator), "b": torch.zeros(2)},
        optimizer={
            "a.weight/step": torch.tensor(7.0),
            "a.weight/exp_avg": torch.randn(3, 4, generator=generator).t(),  # not contiguous
        },
        history=tuple(Epoch(n, 0.1 + n / 3, 0.5, 0.7, 0.6, 1e-3, 0.2) for n in range(epochs)),
    )


def assert_equal(ours, other):
    for group in ("weights", "best_weights", "optimizer"):
        first, second = getattr(ours, group), getattr(other, group)
        assert first.keys() == second.keys()
        for name in first:
            assert torch.equal(first[name], second[name])
            assert first[name].dtype == second[name].dtype
    assert ours.history == other.history


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".textgauge" / "run" / "checkpoint.safetensors"


# ---- save and load


def test_a_checkpoint_comes_back_bit_for_bit(path):
    checkpoint = make_checkpoint()
    checkpoint.save(path, "this run")
    assert_equal(Checkpoint.load(path, "this run"), checkpoint)
    assert list(path.parent.iterdir()) == [path]


def test_a_later_checkpoint_takes_the_place_of_an_earlier_one(path):
    make_checkpoint(0, epochs=1).save(path, "this run")
    make_checkpoint(1, epochs=2).save(path, "this run")
    assert_equal(Checkpoint.load(path, "this run"), make_checkpoint(1, epochs=2))


def refusal(path, identity="this run"):
    with pytest.raises(BundleError) as caught:
        Checkpoint.load(path, identity)
    return str(caught.value)


def test_a_missing_checkpoint_is_explained(path):
    assert refusal(path) == (
        f"there is no checkpoint at {path}: the run ended whole, or before its first epoch was "
        "over. Train again without --resume."
    )


def test_a_checkpoint_of_other_settings_or_data_is_refused(path):
    make_checkpoint().save(path, "another run")
    assert refusal(path) == (
        f"the checkpoint {path} belongs to another table or other settings. Pass the same table "
        "and settings as before, or train again without --resume."
    )


def test_a_checkpoint_of_another_version_is_refused(path, monkeypatch):
    monkeypatch.setattr("textgauge.training.checkpoints.FORMAT", FORMAT + 1)
    make_checkpoint().save(path, "this run")
    monkeypatch.undo()
    assert refusal(path) == (
        f"the checkpoint {path} was written by another version of textgauge (format {FORMAT + 1}, "
        f"this one reads {FORMAT}). Train again without --resume."
    )


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_a_checkpoint_that_was_cut_short_is_refused(path, keep):
    make_checkpoint().save(path, "this run")
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    message = refusal(path)
    assert message.startswith(f"the checkpoint {path} is damaged (")
    assert message.endswith("); train again.")


def test_other_files_are_refused(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a checkpoint" * 100)
    assert "is damaged" in refusal(path)
    save_file({"weight": torch.ones(2)}, path)
    assert "is damaged" in refusal(path)
    save_file({"other/weight": torch.ones(2)}, path, {"state": json.dumps({"identity": "x"})})
    assert "is damaged" in refusal(path)
    save_file({"weights/a": torch.ones(2)}, path, {"state": "{"})
    assert "is damaged" in refusal(path)


# ---- what can't be written


def test_a_write_that_breaks_off_leaves_the_earlier_checkpoint(path, monkeypatch):
    make_checkpoint(0).save(path, "this run")
    original = Path.write_bytes

    def full_disk(self, content):
        original(self, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(StorageError) as caught:
        make_checkpoint(1).save(path, "this run")
    assert str(caught.value) == f"the checkpoint {path} cannot be written: No space left on device."
    assert_equal(Checkpoint.load(path, "this run"), make_checkpoint(0))
    assert list(path.parent.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_named(path):
    path.parent.parent.write_text("in the way")
    with pytest.raises(StorageError, match=rf"{path} cannot be written: (File exists|Not a dir)"):
        make_checkpoint().save(path, "this run")


# ---- the keeper


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("textgauge.training.checkpoints.time.monotonic", lambda: self.now)


def test_a_short_run_writes_nothing(path, monkeypatch):
    clock = Clock(monkeypatch)
    keeper = CheckpointKeeper(lambda: path, "this run", every=20)
    for _ in range(5):
        clock.now += 3.9
        keeper.keep(make_checkpoint())
    assert not path.parent.parent.exists()
    keeper.discard()
    assert not path.parent.parent.exists()


def test_a_long_run_writes_now_and_then(path, monkeypatch):
    clock = Clock(monkeypatch)
    keeper = CheckpointKeeper(lambda: path, "this run", every=20)
    written = []
    for epoch in range(1, 13):
        clock.now += 8
        keeper.keep(make_checkpoint(epochs=epoch))
        if path.exists():
            written.append(len(Checkpoint.load(path, "this run").history))
    assert written == [3, 3, 3, 6, 6, 6, 9, 9, 9, 12]


def test_an_interrupted_run_writes_its_newest_checkpoint(path):
    keeper = CheckpointKeeper(lambda: path, "this run", every=1e9)
    keeper.keep(make_checkpoint(0))
    keeper.keep(make_checkpoint(1))
    assert keeper.write() == path
    assert_equal(Checkpoint.load(path, "this run"), make_checkpoint(1))


def test_without_a_checkpoint_or_a_place_nothing_is_written(path):
    assert CheckpointKeeper(lambda: path, "this run").write() is None
    nowhere = CheckpointKeeper(lambda: None, "this run", every=0)
    nowhere.keep(make_checkpoint())
    assert nowhere.write() is None
    nowhere.discard()
    assert not path.parent.parent.exists()


def test_a_place_that_becomes_known_later_is_used(path):
    place = None
    keeper = CheckpointKeeper(lambda: place, "this run", every=0)
    keeper.keep(make_checkpoint(0))
    place = path
    keeper.keep(make_checkpoint(1))
    assert_equal(Checkpoint.load(path, "this run"), make_checkpoint(1))


def test_after_a_good_end_file_and_empty_folders_go(path):
    keeper = CheckpointKeeper(lambda: path, "this run", every=0)
    keeper.keep(make_checkpoint())
    keeper.discard()
    assert not path.parent.parent.exists()
    assert path.parent.parent.parent.exists()


def test_another_runs_checkpoint_stays(path):
    other = path.parent.parent / "other" / path.name
    make_checkpoint().save(other, "another run")
    keeper = CheckpointKeeper(lambda: path, "this run", every=0)
    keeper.keep(make_checkpoint())
    keeper.discard()
    assert not path.parent.exists()
    assert other.exists()
    make_checkpoint().save(path, "this run")
    shutil.copy(path, path.parent / "kept by hand")
    keeper.discard()
    assert [p.name for p in path.parent.iterdir()] == ["kept by hand"]
