"""Makes the README's figures: trains the bundled sample, and photographs the most telling part of its page.

    python tools/readme_figures.py

Needs a Chromium. Writes ``docs/figures/report-en.png`` and ``docs/figures/report-ko.png``.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops

from dotbogi.language import LANGUAGES, set_language
from dotbogi.runs.report import write_report
from dotbogi.runs.train import train

TARGET = Path(__file__).parent.parent / "docs" / "figures"
WIDTH, HEIGHT = 1200, 2000
MARGIN = 24
# Numbers, what is confused, and a row of mistakes.
SHOWN = """<style>
section:nth-of-type(2), section:nth-of-type(n+5), .pictures figure:nth-child(n+8) { display: none; }
</style></head>"""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=8000",
    "--blink-settings=preferredColorScheme=1",  # light
)


def chromium() -> str:
    """Returns the path of a Chromium."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    return found or sys.exit("no Chromium was found")


def photograph(page: Path, picture: Path) -> None:
    """Writes a page's shown part as a PNG file."""
    page.write_text(page.read_text(encoding="utf-8").replace("</head>", SHOWN, 1), encoding="utf-8")
    with TemporaryDirectory() as profile:
        size = f"--window-size={WIDTH},{HEIGHT}"
        where = (f"--user-data-dir={profile}", size, f"--screenshot={picture}", page.as_uri())
        subprocess.run([chromium(), *FLAGS, *where], check=True, capture_output=True)
    with Image.open(picture) as opened:
        whole = opened.convert("RGB")
    shown = ImageChops.difference(whole, Image.new("RGB", whole.size, whole.getpixel((0, 0)))).getbbox()
    assert shown
    whole.crop((0, 0, WIDTH, min(HEIGHT, shown[3] + MARGIN))).save(picture, optimize=True)


def main() -> None:
    """Trains once, and makes a figure in each language."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        os.chdir(folder)  # so that the run's path is as short as a person's
        run = train(name="first-run")
        for language in LANGUAGES:
            set_language(language)
            picture = TARGET / f"report-{language}.png"
            photograph(write_report(run, Path(folder, language)), picture)
            print(picture, f"{picture.stat().st_size / 1000:.0f} kB")
        os.chdir(TARGET)


if __name__ == "__main__":
    main()
