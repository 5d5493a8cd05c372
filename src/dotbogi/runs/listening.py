"""Who listens to a training, and who may stop it, where nobody was named."""

import warnings

from dotbogi.store.runs_folder import RunsFolder
from dotbogi.training.events import Event, Listener, Notice


def notices_as_warnings(event: Event) -> None:
    """Lets what a person should know be seen where nobody listens: as a warning."""
    if isinstance(event, Notice):
        warnings.warn(event.text, stacklevel=4)


def nobody_listens(event: Event) -> None:
    """Nobody listens."""


def nobody_stops() -> None:
    """Nobody asks to stop."""


def tell_notices(folder: RunsFolder, listener: Listener) -> None:
    """Tells what the folder of runs has to say: a database that was rebuilt, a run that was left out."""
    while folder.notices:
        listener(Notice(folder.notices.pop(0)))
