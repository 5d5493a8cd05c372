"""Numbers and the names of things as people read them, in the language in force."""

import math

from dotbogi.language import _


def count(value: int) -> str:
    """Returns a whole number with its thousands apart: ``60,000``."""
    return f"{value:,}"


def number(value: float) -> str:
    """Returns a number with four significant digits: ``0.3412``, ``1e-05``, ``nan``."""
    return f"{value:.4g}" if not math.isfinite(value) or not 1e-3 <= abs(value) < 1e4 else f"{value:#.4g}".rstrip(".")


def percent(fraction: float) -> str:
    """Returns a fraction of 0…1 as per cent with one decimal: ``92.8 %``."""
    return f"{100 * fraction:.1f} %"


def rate(images_per_second: float) -> str:
    """Returns a throughput."""
    return _("{rate} images/s").format(rate=f"{images_per_second:,.0f}")


def size(number_of_bytes: int) -> str:
    """Returns an amount of memory in decimal units: ``3.2 MB``, ``41 GB``."""
    value, unit = float(number_of_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 and unit != "B" else f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """Returns a time: ``3.4 s``, ``42 s``, ``12:34``, ``1:02:03``."""
    if seconds < 59.5:
        return _("{seconds} s").format(seconds=f"{seconds:.1f}" if seconds < 9.95 else f"{seconds:.0f}")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def metric_title(name: str) -> str:
    """Returns a metric's name for people."""
    titles = {
        "accuracy": _("accuracy"),
        "loss": _("loss"),
        "top5_accuracy": _("accuracy within the best 5"),
        "precision": _("precision"),
        "recall": _("recall"),
        "f1": _("F1"),
        "calibration_error": _("calibration error"),
    }
    return titles.get(name, name)


def metric_value(name: str, value: float) -> str:
    """Returns a metric's value for people: fractions as per cent, a loss as it is."""
    return number(value) if name.endswith("loss") else percent(value)


def status_title(status: str) -> str:
    """Returns a run's status for people."""
    titles = {
        "running": _("running"),
        "finished": _("finished"),
        "interrupted": _("interrupted"),
        "failed": _("failed"),
    }
    return titles.get(status, status)
