import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dotbogi.data import decode
from dotbogi.data.bundled import PHOTO
from dotbogi.data.chunk import Broken
from dotbogi.data.decode import broken_images_error, decode_files, decode_stream, listed, overlapped, probe


@pytest.fixture
def files(tmp_path: Path, sample_images: np.ndarray) -> list[Path]:
    paths = [tmp_path / f"{index}.png" for index in range(40)]
    for path, image in zip(paths, sample_images[:40], strict=True):
        Image.fromarray(image).save(path)
    return paths


def png_that_says_it_is(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_files_come_in_their_order_whatever_the_number_of_threads(files: list[Path], sample_images: np.ndarray):
    for workers in (1, 2, 5):
        parts = list(decode_stream(files, channels=1, image_size=(28, 28), workers=workers, chunk=7))
        assert np.array_equal(np.concatenate([part.images for part in parts])[:, 0], sample_images[:40])
        assert [index for part in parts for index in part.indices] == list(range(40))
        assert not any(part.coloured for part in parts)


def test_worker_processes_give_the_same_as_threads(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_images: np.ndarray
):
    (tmp_path / "한글.png").write_bytes(b"no image")
    monkeypatch.setattr(decode, "MANY", 1)
    paths = [*files, tmp_path / "한글.png", PHOTO]
    parts = list(decode_stream(paths, channels=1, image_size=(28, 28), workers=2))
    assert np.array_equal(np.concatenate([part.images for part in parts])[:40, 0], sample_images[:40])
    assert [index for part in parts for index in part.indices] == [*range(40), 41]
    assert [broken for part in parts for broken in part.broken] == [Broken(str(paths[40]), "no image that can be read")]
    assert parts[-1].coloured


@pytest.mark.parametrize("executable", [shutil.which("true") or "", "no such program", None])
def test_where_worker_processes_die_or_do_not_start_this_one_does_the_work(
    executable: str | None, files: list[Path], monkeypatch: pytest.MonkeyPatch, sample_images: np.ndarray
):
    monkeypatch.setattr(decode, "MANY", 1)
    monkeypatch.setattr(sys, "executable", executable)
    parts = list(decode_stream(files, channels=1, image_size=(28, 28), workers=3, chunk=4))
    assert np.array_equal(np.concatenate([part.images for part in parts])[:, 0], sample_images[:40])


def test_colour_is_decoded_as_pillow_does():
    images, broken = decode_files([PHOTO], channels=3, image_size=(300, 451))
    assert not broken
    assert np.array_equal(images[0].transpose(1, 2, 0), np.asarray(Image.open(PHOTO)))


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tiff", "ppm"])
def test_every_format_is_read(suffix: str, tmp_path: Path):
    path = tmp_path / f"photo.{suffix}"
    Image.open(PHOTO).save(path)
    images, broken = decode_files([path], channels=3, image_size=(30, 45), fit="squash")
    exact, _ = decode_files([PHOTO], channels=3, image_size=(30, 45), fit="squash")
    assert not broken
    assert np.abs(images.astype(int) - exact).mean() < 6


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, sample_images: np.ndarray):
    first, *others = [Image.fromarray(image) for image in sample_images[:3]]
    for suffix in ("gif", "png", "webp"):
        path = tmp_path / f"moving.{suffix}"
        first.save(path, save_all=True, append_images=others, lossless=True)
        images, _broken = decode_files([path], channels=1, image_size=(28, 28))
        assert np.array_equal(images[0, 0], sample_images[0])


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same(tmp_path: Path):
    large = tmp_path / "large.jpg"
    Image.open(PHOTO).resize((1804, 1200)).save(large, quality=95)
    images, _broken = decode_files([large, PHOTO], channels=3, image_size=(32, 32))
    assert np.abs(images[0].astype(int) - images[1]).mean() < 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty, 0 bytes"),
        (b"hello", "no image that can be read"),
        (PHOTO.read_bytes()[:9000], "truncated"),
        (png_that_says_it_is(60_000, 60_000), "more than 178,956,970 pixels"),
    ],
)
def test_a_broken_file_is_named_with_the_reason(content: bytes, reason: str, tmp_path: Path, files: list[Path]):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    images, broken = decode_files([files[0], path, files[1]], channels=1, image_size=(28, 28))
    assert images.shape == (2, 1, 28, 28)
    assert broken == [Broken(str(path), reason)]


def test_a_file_that_is_gone_is_broken(tmp_path: Path):
    images, broken = decode_files([tmp_path / "gone.png"], channels=1, image_size=(4, 4))
    assert images.shape == (0, 1, 4, 4)
    assert "No such file" in broken[0].reason


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no such permissions on Windows")
def test_a_file_without_permission_is_broken(files: list[Path]):
    files[0].chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # root may read everything: look as someone else
            os.seteuid(65534)
        _images, broken = decode_files(files[:1], channels=1, image_size=(28, 28))
    finally:
        os.seteuid(user)
    assert broken == [Broken(str(files[0]), "no permission to read it")]


def test_photos_of_a_hundred_megapixels_are_no_bombs():
    script = (
        "import sys; from PIL import Image; Image.MAX_IMAGE_PIXELS = 300 * 451 - 1; "
        "from dotbogi.data.decode import decode_files; "
        "print(decode_files([sys.argv[1]], channels=3, image_size=(8, 8))[1])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(PHOTO)], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_headers_are_probed_over_all_files(files: list[Path], tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"")
    sizes, coloured = probe([*files, tmp_path / "broken.png", PHOTO])
    assert (sizes, coloured) == ([(28, 28)] * 40 + [(300, 451)], True)
    assert probe(files, most=5) == ([(28, 28)] * 5, False)


def test_the_list_of_broken_files_ends_after_ten():
    error = broken_images_error([Broken(f"{index}.png", "truncated") for index in range(12)], 20)
    assert error.message.startswith("12 of 20 files are no whole image")
    assert "0.png: truncated" in error.message
    assert "… and 2 more" in error.message
    assert "--skip-broken" in error.fix
    assert "1 of 3 files is no whole image" in broken_images_error([Broken("a", "b")], 3).message
    assert len(listed([Broken("a", "b")] * 10)) == 10


def test_an_error_in_a_thread_reaches_the_consumer_and_the_rest_is_cancelled():
    def work(item: int) -> float:
        return 1 / (item - 3)

    with pytest.raises(ZeroDivisionError):
        list(overlapped(work, range(1000), 2))


def test_a_stream_can_be_left_early(files: list[Path]):
    stream = decode_stream(files, channels=1, image_size=(28, 28), chunk=1)
    assert next(stream).indices == [0]
    stream.close()
