"""The page in a real browser: figures are drawn, and nothing that a run's texts say is carried out."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dotbogi.figures.confusion import confusion_figure
from dotbogi.figures.curves import epoch_curves
from dotbogi.figures.page import Drawings, Section, Text, page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
HOSTILE = "</script><img src=x onerror=\"document.title='taken'\"><b>"


@pytest.mark.skipif(not CHROMIUM, reason="needs a Chromium")
def test_figures_are_drawn_and_texts_stay_texts(tmp_path: Path) -> None:
    drawings = Drawings([confusion_figure([[3, 1], [0, 4]], ["<b>cat", "개"]), epoch_curves("Loss", [1.0, 0.5])])
    file = tmp_path / "page.html"
    file.write_text(page(HOSTILE, HOSTILE, [Section(HOSTILE, [Text(HOSTILE), drawings])]), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = (str(CHROMIUM), *FLAGS, profile, "--virtual-time-budget=8000", "--dump-dom", file.as_uri())
    shown = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()
    assert shown.count("drawing js-plotly-plot") == 2
    assert ">&lt;b&gt;cat</text>" in shown
    assert "<title>taken" not in shown
    assert "<img" not in shown
