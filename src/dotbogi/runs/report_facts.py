"""What a report shows of a run, read from its folder and checked: anything may stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Count = Annotated[int, Field(ge=0, lt=2**53)]


class Checked(BaseModel):
    """Values of the types that are asked for; others are refused, and unknown keys are left out."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Mistake(Checked):
    """A wrongly classified image: its position, its label, what was predicted instead and how surely."""

    index: Count
    label: Count
    prediction: Count
    probability: float
    loss: float


class ClassResult(Checked):
    """How well one class is recognised; fractions 0…1."""

    name: str
    images: Count
    precision: float
    recall: float
    f1: float


class Hardware(Checked):
    """What the run ran on."""

    cpu: str | None = None
    usable_cores: int | None = None
    memory_bytes: int | None = None
    gpus: list[str] = []


class Git(Checked):
    """The state of the working directory."""

    commit: str
    dirty: bool


class Facts(Checked):
    """A run's facts, as far as a report shows them."""

    model: str = ""
    parameters: Count = 0
    data: str = ""
    data_fingerprint: str = ""
    objects: list[str] = []
    classes: list[str] = []
    training_images: Count = 0
    validation_images: Count = 0
    test_images: Count = 0
    evaluated_on: str = ""
    confusion: list[list[Count]] = []
    per_class: list[ClassResult] = []
    worst_mistakes: list[Mistake] = []
    versions: dict[str, str | None] = {}
    platform: str = ""
    hardware: Hardware = Hardware()
    git: Git | None = None

    @field_validator("confusion")
    @classmethod
    def _is_square(cls, matrix: list[list[int]]) -> list[list[int]]:
        if any(len(row) != len(matrix) for row in matrix):
            raise ValueError("not square")
        return matrix

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> tuple[Self, list[str]]:
        """Returns the facts, and the names of those that are damaged and left out."""
        try:
            return cls.model_validate(dict(facts)), []
        except ValidationError as error:
            damaged = sorted({str(mistake["loc"][0]) for mistake in error.errors()})
        return cls.model_validate({name: value for name, value in facts.items() if name not in damaged}), damaged

    def class_name(self, label: int) -> str:
        """Returns a class's name, or its number where there is none."""
        return self.classes[label] if label < len(self.classes) else str(label)


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float | None]:
    """Returns one value per row; ``None`` where it is missing or no number."""
    return [number_of(row.get(name)) for row in rows]


def number_of(value: Any) -> float | None:
    """Returns a value as a float, or ``None`` where it is no number or too large for one."""
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None
