"""The exception tree.

DotbogiError                 what a person can cause and mend; exit code 2
├── UnknownNameError         a name that nothing is registered under
├── RecipeError              a recipe that contradicts itself, or a value outside its range
├── DataError                images or labels that cannot be trained on
│   └── BrokenImagesError    files that are no whole image
├── ModelError               a model that cannot be built, loaded or run
│   └── ShapeError           what came does not fit what a layer expects
├── RunError                 a run that is not there, in use, or damaged
│   └── CheckpointError      a checkpoint that is not whole, or not ours
├── TapeError                a recording that cannot be made, or does not hold what is asked for
│   └── AddressError         an address that names no number of a tape
└── TrainingError            the work itself failed; exit code 1
    └── NonFiniteLossError   the loss became NaN or infinite
"""


class DotbogiError(Exception):
    """Something that a person can cause, said in one short message.

    Args:
        message: what happened, with the actual values; already translated.
        fix: what to do next; already translated, may be empty.
    """

    exit_code = 2

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n{self.fix}" if self.fix else self.message


class UnknownNameError(DotbogiError):
    """A name that nothing is registered under."""


class RecipeError(DotbogiError):
    """A recipe that contradicts itself, or a value outside its range."""


class DataError(DotbogiError):
    """Images or labels that cannot be trained on."""


class BrokenImagesError(DataError):
    """Files that are no whole image."""


class ModelError(DotbogiError):
    """A model that cannot be built, loaded or run."""


class ShapeError(ModelError):
    """What came does not fit what a layer expects."""


class RunError(DotbogiError):
    """A run that is not there, in use, or damaged."""


class CheckpointError(RunError):
    """A checkpoint that is not whole, or not ours."""


class TapeError(DotbogiError):
    """A recording that cannot be made, or does not hold what is asked for."""


class AddressError(TapeError):
    """An address that names no number of a tape."""


class TrainingError(DotbogiError):
    """The work itself failed."""

    exit_code = 1


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""
