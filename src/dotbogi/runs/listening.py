"""Who listens to a training, and who may stop it, where nobody was named."""

import warnings

from dotbogi.training.events import Event, Notice


def notices_as_warnings(event: Event) -> None:
    """Lets what a person should know be seen where nobody listens: as a warning."""
    if isinstance(event, Notice):
        warnings.warn(event.text, stacklevel=4)


def nobody_listens(event: Event) -> None:
    """Nobody listens."""


def nobody_stops() -> None:
    """Nobody asks to stop."""
