import errno
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotbogi.errors import CheckpointError, RunError
from dotbogi.store import atomic, checkpoints
from dotbogi.store.checkpoints import CheckpointFolder
from dotbogi.store.weights import weights_sha256

FILES = ("weights.safetensors", "state.pt", "checkpoint.json")


def weights_of(step):
    generator = torch.Generator().manual_seed(step)
    return {"conv.weight": torch.randn(4, 3, 3, 3, generator=generator), "bn.num_batches_tracked": torch.tensor(step)}


def write(folder, step, kind="last"):
    return folder.write(kind, step, weights_of(step), {"position": step, "momentum": torch.full((3,), float(step))})


def names(path):
    return sorted(item.name for item in path.iterdir())


def is_of(checkpoint, step):
    return (
        checkpoint.step == step
        and checkpoint.state["position"] == step
        and weights_sha256(checkpoint.weights) == weights_sha256(weights_of(step))
    )


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path)


def test_what_is_written_is_read(folder, tmp_path):
    path = write(folder, 12)
    checkpoint = folder.read_last()
    assert is_of(checkpoint, 12)
    assert checkpoint.path == path == tmp_path / "checkpoints" / "last-00000012"
    assert checkpoint.skipped == []
    assert checkpoint.next_weights is None
    assert list(checkpoint.weights) == ["conv.weight", "bn.num_batches_tracked"]
    assert names(path) == sorted(FILES)


def test_the_two_newest_are_kept_of_each_kind(folder, tmp_path):
    for step in (0, 5, 10, 15):
        write(folder, step)
        write(folder, step, "best")
    assert names(tmp_path / "checkpoints") == ["best-00000010", "best-00000015", "last-00000010", "last-00000015"]
    assert is_of(folder.read_best(), 15)


def test_writing_a_step_again_replaces_it(folder, tmp_path):
    write(folder, 5)
    write(folder, 7)
    for value in range(3):
        folder.write("last", 7, weights_of(7), {"position": 7, "value": value})
    assert folder.read_last().state["value"] == 2
    assert names(tmp_path / "checkpoints") == ["last-00000005", "last-00000007-4"]
    write(folder, 8)
    assert names(tmp_path / "checkpoints") == ["last-00000007-4", "last-00000008"]


def test_what_a_killed_writer_left_is_removed_by_the_next(folder, tmp_path):
    write(folder, 1)
    for name in (".writing-last-00000002", ".removing-last-00000000"):
        (tmp_path / "checkpoints" / name).mkdir()
        (tmp_path / "checkpoints" / name / "state.pt").write_bytes(b"half")
    assert is_of(folder.read_last(), 1)
    write(folder, 2)
    assert names(tmp_path / "checkpoints") == ["last-00000001", "last-00000002"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_checkpoint_cut_anywhere_gives_the_one_before(tmp_path, data):
    path = tmp_path / str(len(names(tmp_path)))
    folder = CheckpointFolder(path)
    write(folder, 3)
    newest = write(folder, 4)
    file = newest / data.draw(st.sampled_from(FILES))
    content = file.read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        file.write_bytes(content[:cut])
    else:
        file.write_bytes(content[:cut] + bytes([content[cut] ^ 0xFF]) + content[cut + 1 :])
    checkpoint = folder.read_last()
    if checkpoint.step == 4:  # a byte of the manifest that says nothing of the content
        assert is_of(checkpoint, 4)
    else:
        assert is_of(checkpoint, 3)
        assert len(checkpoint.skipped) == 1
        assert checkpoint.skipped[0].startswith("last-00000004: ")


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_gives_the_one_before(folder, file):
    write(folder, 3)
    (write(folder, 4) / file).unlink()
    assert is_of(folder.read_last(), 3)


def test_the_reasons_are_said(folder):
    write(folder, 3)
    path = write(folder, 4)
    content = (path / "state.pt").read_bytes()
    (path / "state.pt").write_bytes(content[:-7])
    size = len(content)
    expected = f"last-00000004: state.pt has {size - 7} bytes instead of {size}: it is cut or was changed."
    assert folder.read_last().skipped == [expected]
    (path / "state.pt").write_bytes(content[:-1] + b"\x01")
    assert folder.read_last().skipped == ["last-00000004: state.pt is not what was written: its SHA-256 differs."]
    (path / "state.pt").unlink()
    assert folder.read_last().skipped == ["last-00000004: state.pt cannot be read: No such file or directory"]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "checkpoint.json is missing or damaged"),
        ("[]", "checkpoint.json is missing or damaged"),
        ('{"format": 1, "step": 4, "files": {"state.pt": 7}}', "checkpoint.json is missing or damaged"),
        ("[" * 100_000, "checkpoint.json is missing or damaged"),
        ('{"format": 2, "step": 4, "files": {}}', "of format 2; this version reads format 1"),
        ('{"format": 1, "step": 5, "files": {}}', "checkpoint.json speaks of step 5"),
        ('{"format": 1, "step": 4, "files": {}}', "weights.safetensors has [0-9]+ bytes instead of None"),
    ],
)
def test_damaged_manifests(folder, manifest, message):
    (write(folder, 4) / "checkpoint.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        folder.read_last()


def test_none_left_says_why_of_each(folder):
    for step in (3, 4):
        (write(folder, step) / "state.pt").unlink()
    with pytest.raises(CheckpointError, match="There is no whole checkpoint in") as caught:
        folder.read_last()
    assert "last-00000003: state.pt" in caught.value.message
    assert "last-00000004: state.pt" in caught.value.message
    assert "dotbogi show" in caught.value.fix


def test_no_checkpoint_at_all(folder):
    for read in (folder.read_last, folder.read_best):
        with pytest.raises(CheckpointError, match="There is no whole checkpoint in"):
            read()


def test_foreign_names_are_not_read(folder, tmp_path):
    write(folder, 4)
    for name in ("last-x", "last-00000009.copy", "last-9", "last-00000009-", "last-" + "9" * 30):
        shutil.copytree(tmp_path / "checkpoints" / "last-00000004", tmp_path / "checkpoints" / name)
    assert is_of(folder.read_last(), 4)


class _Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("file", ["weights.safetensors", "state.pt"])
def test_a_pickle_posing_as_a_checkpoint_is_never_executed(folder, tmp_path, file):
    target = tmp_path / "executed"
    path = write(folder, 4)
    content = pickle.dumps(_Attack(target))
    (path / file).write_bytes(content)
    manifest = json.loads((path / "checkpoint.json").read_text(encoding="utf-8"))
    manifest["files"][file] = checkpoints._sum(content)  # an attacker gets the sums right
    (path / "checkpoint.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(CheckpointError, match="last-00000004: This is no"):
        folder.read_last()
    assert not target.exists()
    write(folder, 5)
    assert is_of(folder.read_last(), 5)


def test_snapshots_are_all_kept_and_hold_what_they_were_given(folder, tmp_path):
    for step in (0, 123, 7):
        folder.write("snapshot", step, weights_of(step), {"position": step, "indices": torch.arange(step)})
    assert folder.snapshots() == [0, 7, 123]
    snapshot = folder.read_snapshot(7)
    assert is_of(snapshot, 7)
    assert torch.equal(snapshot.state["indices"], torch.arange(7))
    assert snapshot.path == tmp_path / "snapshots" / "step-00000007"


def test_the_weights_after_a_snapshots_step_are_added_later(folder):
    write(folder, 7, "snapshot")
    assert folder.read_snapshot(7).next_weights is None
    folder.add_next_weights(7, weights_of(8))
    snapshot = folder.read_snapshot(7)
    assert is_of(snapshot, 7)
    assert weights_sha256(snapshot.next_weights) == weights_sha256(weights_of(8))
    folder.add_next_weights(7, weights_of(9))
    assert weights_sha256(folder.read_snapshot(7).next_weights) == weights_sha256(weights_of(9))


def test_next_weights_half_added_do_not_count_and_damaged_ones_are_told(folder):
    path = write(folder, 7, "snapshot")
    (path / "next.safetensors").write_bytes(b"killed before the manifest was replaced")
    assert folder.read_snapshot(7).next_weights is None
    folder.add_next_weights(7, weights_of(8))
    (path / "next.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"step-00000007: next\.safetensors has 3 bytes instead of"):
        folder.read_snapshot(7)


def test_a_snapshot_that_is_not_there(folder):
    with pytest.raises(CheckpointError, match="There is no snapshot of step 3") as caught:
        folder.read_snapshot(3)
    assert "training.snapshots" in caught.value.fix
    write(folder, 1, "snapshot")
    write(folder, 20, "snapshot")
    with pytest.raises(CheckpointError, match="There is no snapshot of step 3") as caught:
        folder.add_next_weights(3, weights_of(3))
    assert "the steps 1, 20" in caught.value.fix


def test_later_steps_are_removed_when_a_run_goes_on_from_before(folder, tmp_path):
    for step in (10, 20):
        for kind in ("last", "best", "snapshot"):
            write(folder, step, kind)
    folder.truncate_after(10)
    assert names(tmp_path / "checkpoints") == ["best-00000010", "last-00000010"]
    assert folder.snapshots() == [10]
    CheckpointFolder(tmp_path / "nothing").truncate_after(0)


def test_a_full_disk_leaves_what_was_there(folder, tmp_path, monkeypatch):
    write(folder, 3)
    before = names(tmp_path / "checkpoints")
    written = []

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(RunError, match="The disk is full") as caught:
        write(folder, 4)
    assert "What was saved before is whole" in caught.value.fix
    monkeypatch.undo()
    assert names(tmp_path / "checkpoints") == before
    assert is_of(folder.read_last(), 3)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(tmp_path):
    import subprocess

    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        folder = CheckpointFolder(tmp_path)
        write(folder, 3)
        with pytest.raises(RunError, match="The disk is full"):
            folder.write("last", 4, {"w": torch.zeros(100_000)}, {"position": 4})
        assert names(tmp_path / "checkpoints") == ["last-00000003"]
        assert is_of(folder.read_last(), 3)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_no_permission_is_said(folder, monkeypatch):
    def denied(self, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(RunError, match="No permission to use"):
        write(folder, 1)


def test_a_state_that_could_not_be_read_again_is_refused_before_anything_is_written(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"state\['bad'\] is of type builtins.set"):
        folder.write("last", 1, weights_of(1), {"bad": set()})
    assert names(tmp_path) == []


def test_tied_and_channels_last_weights(folder):
    table = torch.randn(5, 4)
    images = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    folder.write("last", 0, {"a": table, "images": images, "b": table}, {})
    weights = folder.read_last().weights
    assert list(weights) == ["a", "images", "b"]
    assert torch.equal(weights["images"], images)
    assert weights["a"].data_ptr() == weights["b"].data_ptr()


def test_state_is_a_plain_zip_that_torch_reads_without_us(folder):
    path = write(folder, 2)
    assert zipfile.is_zipfile(path / "state.pt")
    assert torch.load(path / "state.pt", weights_only=True)["position"] == 2
