import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from dotbogi.errors import DotbogiError
from dotbogi.figures.curves import epoch_curves
from dotbogi.figures.png_files import write_png_files

FIGURES = {"loss": epoch_curves("손실", [0.8, 0.5], [0.7, 0.6])}
CHROMIUM = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")))


@pytest.mark.skipif(not CHROMIUM, reason="needs a Chromium")
def test_figures_become_files(tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    paths = write_png_files(FIGURES, tmp_path / "new")
    assert paths == [tmp_path / "new" / "loss.png"]
    with Image.open(paths[0]) as image:
        assert image.size == (1600, 1000)
        assert len(image.convert("RGB").getcolors(1_600_000)) > 20


def test_without_kaleido_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(DotbogiError, match=r"kaleido, which is not installed.\nWrite: pip install 'dotbogi\[png\]'"):
        write_png_files(FIGURES, tmp_path)


def test_without_a_chromium_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaleido = pytest.importorskip("kaleido")
    errors = pytest.importorskip("choreographer.errors")

    def not_found(*_arguments: object, **_keywords: object) -> None:
        raise errors.ChromeNotFoundError

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", not_found)
    with pytest.raises(DotbogiError, match=r"Chrome or Chromium, which was not found.\nInstall one"):
        write_png_files(FIGURES, tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DotbogiError, match=r"cannot be written to .*file: .*\nChoose another folder with --output"):
        write_png_files(FIGURES, tmp_path / "file")
