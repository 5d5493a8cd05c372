"""Data that comes with the program; licences lie beside it."""

from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"
PHOTO = Path(__file__).parent / "chelsea.jpg"
