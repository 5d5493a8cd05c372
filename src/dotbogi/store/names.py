"""What runs are called: ids that sort by time, and names that people give."""

import re
import unicodedata
from datetime import datetime
from pathlib import PurePath

from dotbogi.errors import RunError
from dotbogi.language import _

LAST = "last"
LONGEST = 100


def new_id(moment: datetime, model: str) -> str:
    """Returns the id of a run that begins at a moment, such as ``20261124-231502-simple-cnn``.

    Typing ``20261124-2315`` is mostly enough. Two runs of one second differ by a number that the folder's maker adds.

    Args:
        moment: by the person's own clock.
        model: the model's name as a recipe has it; ``auto`` and other words that say nothing are left out.
    """
    file = re.sub(r":[^:/\\]*$", "", model)  # without a file's factory
    words = PurePath(file.replace("\\", "/")).stem.lower()
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:24].strip("-")
    return f"{moment:%Y%m%d-%H%M%S}" + (f"-{slug}" if slug and slug != "auto" else "")


def checked_name(name: str) -> str:
    """Returns a name in the one spelling that is stored (Korean typed on macOS comes decomposed).

    Raises:
        RunError: the name is ``last``, blank, or nothing that can be typed as one argument.
    """
    name = unicodedata.normalize("NFC", name)
    if name.casefold() == LAST:
        raise RunError(
            _("A run cannot be called {name}: that word means the newest run.").format(name=name),
            fix=_("Choose another --name."),
        )
    if not name.strip() or name != name.strip() or len(name) > LONGEST or name[0] in "-." or _has_unsafe(name):
        raise RunError(
            _("A run cannot be called {name}.").format(name=repr(name)),
            fix=_("Choose a --name of letters, digits and spaces inside, at most {longest} characters.").format(
                longest=LONGEST
            ),
        )
    return name


def _has_unsafe(name: str) -> bool:
    # Category C: control characters, invisible ones, lone surrogates.
    return any(character in "/\\" or unicodedata.category(character).startswith("C") for character in name)
