"""The stages that a number passes through, in the order of a training step."""

from enum import StrEnum


class Stage(StrEnum):
    """A stage of the path from an image to an updated weight."""

    IMAGE = "image"
    TENSOR = "tensor"
    BATCH = "batch"
    MODEL = "model"
    LOSS = "loss"
    GRADIENT = "gradient"
    UPDATE = "update"


IMAGE, TENSOR, BATCH, MODEL, LOSS, GRADIENT, UPDATE = Stage
