"""Who listens to a training, and who may stop it, where nobody was named."""

from dotbogi.training.events import Event


def nobody_listens(event: Event) -> None:
    """Nobody listens."""


def nobody_stops() -> None:
    """Nobody asks to stop."""
