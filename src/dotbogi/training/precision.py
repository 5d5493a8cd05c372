"""Which precision, memory format and number of threads are fastest: measured, since the answer differs by machine.

A few steps of each candidate are made on a copy of the model with one real
batch. Under ``deterministic`` nothing is measured: a stopwatch never decides.
"""

import copy
import hashlib
import itertools
import json
import platform
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from typing_extensions import TypedDict

from dotbogi.recipe import Training as TrainingRecipe
from dotbogi.training.step import LossFunction, StepRules, training_step

Precision = Literal["fp32", "bf16", "fp16", "fp64"]
MemoryFormat = Literal["contiguous", "channels-last"]

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}

WARM_UP_STEPS = 2
TIMED_STEPS = 5
LONGEST_STEP_S = 0.25  # a larger batch is cut down for measuring
# Half the digits of bf16 are given up only for a clear gain.
GAIN_WORTH_BF16 = 1.1


@dataclass(frozen=True)
class Setting:
    """How a step is computed.

    Args:
        precision: ``fp32``, ``bf16``, ``fp16`` or ``fp64``.
        memory_format: ``contiguous`` or ``channels-last``.
        threads: of one operation on the CPU.
    """

    precision: Precision
    memory_format: MemoryFormat
    threads: int

    @property
    def dtype(self) -> torch.dtype:
        """The weights' dtype."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def rules(self, recipe: TrainingRecipe, device: torch.device) -> StepRules:
        """Returns the step's rules for this setting and a recipe."""
        scaler = torch.amp.GradScaler(device.type) if self.precision == "fp16" and device.type == "cuda" else None
        return StepRules(recipe.accumulation, recipe.clip_norm, AUTOCAST.get(self.precision), scaler)

    def place(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Moves a model to the device, dtype and memory format, in place; returns it."""
        # The contiguous format is asked for too: weights that were channels-last before would stay so.
        model.to(device=device, dtype=self.dtype)
        if any(is_lazy(parameter) for parameter in model.parameters()):
            return model  # it has no shapes yet
        return model.to(memory_format=MEMORY_FORMATS[self.memory_format])

    def place_images(self, images: Tensor) -> Tensor:
        """Returns a batch (B, C, H, W) in the setting's memory format and dtype."""
        if images.ndim != 4:
            return images.to(self.dtype)
        return images.to(self.dtype).contiguous(memory_format=MEMORY_FORMATS[self.memory_format])


def fixed_setting(recipe: TrainingRecipe, model: nn.Module) -> Setting:
    """Returns the setting where nothing is measured: fp32, channels-last, all cores, but for what the recipe names."""
    usual = "channels-last" if _convolves(model) else "contiguous"
    return Setting(
        "fp32" if recipe.precision == "auto" else recipe.precision,
        usual if recipe.memory_format == "auto" else recipe.memory_format,
        torch.get_num_threads() if recipe.threads == "auto" else recipe.threads,
    )


def fastest_setting(
    recipe: TrainingRecipe,
    model: nn.Module,
    loss_function: LossFunction,
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    images: Tensor,
    labels: Tensor,
    *,
    cache: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Setting:
    """Measures every setting that the recipe leaves open, and returns the fastest.

    Precision and memory format are remembered for the model, batch and machine;
    the threads are measured every time, since other work on the machine decides.

    Args:
        recipe: what is named in it is kept.
        model: on its device, is not changed.
        loss_function: of logits and labels.
        make_optimizer: gives the optimizer for a copy of the model.
        images, labels: one batch as the training sees it, float32, on the model's device.
        cache: a JSON file that remembers; need not exist.
        progress: told how many candidates are done, and of how many.
    """
    device = images.device
    key = _cache_key(recipe, model, images)
    remembered = _remembered(cache).get(key)
    start = fixed_setting(recipe, model)
    formats = [replace(start, **remembered)] if remembered else _formats(recipe, model, device, start)
    threads = _threads(recipe, device)
    race = _Race(model, loss_function, make_optimizer, images, labels, recipe, progress)
    race.total = (len(formats) if len(formats) > 1 else 0) + (len(threads) if len(threads) > 1 else 0)
    best = race.fastest(formats)
    if not remembered and len(formats) > 1:
        _remember(cache, key, _Remembered(precision=best.precision, memory_format=best.memory_format))
    return race.fastest([replace(best, threads=count) for count in threads])


def _formats(recipe: TrainingRecipe, model: nn.Module, device: torch.device, start: Setting) -> list[Setting]:
    precisions: list[Precision] = [start.precision]
    memory_formats: list[MemoryFormat] = [start.memory_format]
    if recipe.precision == "auto":
        bf16 = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
        precisions = ["fp32", "bf16"] if bf16 else ["fp32"]
    if recipe.memory_format == "auto" and _convolves(model):
        memory_formats = ["channels-last", "contiguous"]
    return [replace(start, precision=p, memory_format=m) for p, m in itertools.product(precisions, memory_formats)]


def _threads(recipe: TrainingRecipe, device: torch.device) -> list[int]:
    if recipe.threads != "auto":
        return [recipe.threads]
    most = torch.get_num_threads()
    return [most] if device.type != "cpu" else sorted({most, max(1, most // 2), 1}, reverse=True)


def _convolves(model: nn.Module) -> bool:
    return any(parameter.ndim == 4 for parameter in model.parameters())


class _Race:
    """Steps of several settings in turn, so that a slow moment of the machine meets all of them alike."""

    def __init__(
        self,
        model: nn.Module,
        loss_function: LossFunction,
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        images: Tensor,
        labels: Tensor,
        recipe: TrainingRecipe,
        progress: Callable[[int, int], None],
    ) -> None:
        self.model, self.loss_function, self.make_optimizer = model, loss_function, make_optimizer
        self.images, self.labels, self.recipe, self.progress = images, labels, recipe, progress
        self.done = self.total = 0

    def fastest(self, settings: list[Setting]) -> Setting:
        if len(settings) == 1:
            return settings[0]
        with _threads_as_found():
            steps = [self._ready(setting) for setting in settings]
            seconds: list[list[float]] = [[] for _ in settings]
            for _ in range(TIMED_STEPS):
                for step, times in zip(steps, seconds, strict=True):
                    times.append(step())
        # The fastest of a few steps says what the machine can do; a slow one, what else it was doing.
        cost = [
            min(times) * (GAIN_WORTH_BF16 if setting.precision == "bf16" else 1)
            for setting, times in zip(settings, seconds, strict=True)
        ]
        return settings[cost.index(min(cost))]

    def _ready(self, setting: Setting) -> Callable[[], float]:
        """Returns a function that makes one step under the setting and says how long it took."""
        model = setting.place(copy.deepcopy(self.model), self.images.device).train()
        optimizer = self.make_optimizer(model)
        rules = setting.rules(self.recipe, self.images.device)

        def step() -> float:
            images, labels = setting.place_images(self.images), self.labels
            torch.set_num_threads(setting.threads)
            began = time.perf_counter()
            training_step(model, self.loss_function, optimizer, images, labels, rules=rules)
            if images.is_cuda:
                torch.cuda.synchronize()
            return time.perf_counter() - began

        while step() > LONGEST_STEP_S and len(self.images) >= 8 * rules.accumulation:
            half = len(self.images) // 2
            self.images, self.labels = self.images[:half], self.labels[:half]
        for _ in range(WARM_UP_STEPS - 1):
            step()
        self.done += 1
        self.progress(self.done, self.total)
        return step


@contextmanager
def _threads_as_found() -> Generator[None]:
    threads = torch.get_num_threads()
    generator = torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(generator)


def _cache_key(recipe: TrainingRecipe, model: nn.Module, images: Tensor) -> str:
    machine = [platform.node(), platform.machine(), torch.__version__, torch.backends.cpu.get_cpu_capability()]
    if images.is_cuda:
        machine.append(torch.cuda.get_device_name(images.device))
    asked = asdict(fixed_setting(recipe, model)) | {"precision": recipe.precision, "format": recipe.memory_format}
    parts = [str(model), str(tuple(images.shape)), str(images.device), json.dumps(asked), *machine]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class _Remembered(TypedDict):
    precision: Precision
    memory_format: MemoryFormat


_MEMORY = TypeAdapter(dict[str, _Remembered])


def _remembered(cache: Path) -> dict[str, _Remembered]:
    try:
        return _MEMORY.validate_json(cache.read_bytes())
    except (OSError, ValidationError):
        return {}


def _remember(cache: Path, key: str, setting: _Remembered) -> None:
    # A measurement that cannot be kept is made again next time; that is no reason to fail.
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_suffix(f".{key[:8]}.tmp")
        temporary.write_bytes(_MEMORY.dump_json(_remembered(cache) | {key: setting}))
        temporary.replace(cache)
    except OSError:
        pass
