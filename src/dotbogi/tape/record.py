"""Records a forward pass or a whole training step of any eager model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from dotbogi import recipe as recipes
from dotbogi.errors import DotbogiError
from dotbogi.optim.optimizer import SINGLE_TENSOR, build_optimizer
from dotbogi.stages import BATCH, GRADIENT, MODEL, Stage
from dotbogi.tape.before_update import Beginnings, watched_update
from dotbogi.tape.checks import check_model_and_images, check_request, explained_failure, out_of_memory
from dotbogi.tape.modules import ModulePath, tensors_in
from dotbogi.tape.names import Names
from dotbogi.tape.plain import plain_arithmetic
from dotbogi.tape.recorder import Recorder
from dotbogi.tape.tape import Tape
from dotbogi.tape.untouched import collector_resting, left_untouched
from dotbogi.tape.value import Value
from dotbogi.training.loss import build_loss
from dotbogi.training.step import PLAIN, LossFunction, StepRules, training_step


@collector_resting()
def record(
    model: nn.Module,
    data: Any,
    *,
    loss: LossFunction | str | None = None,
    optimizer: torch.optim.Optimizer | str | None = None,
    rules: StepRules = PLAIN,
    modules: Iterable[str] | None = None,
    prepare: Callable[[Any], Any] | None = None,
    keep: bool = False,
) -> Tape:
    """Runs a model once and keeps every operation with its numbers.

    Model, gradients, optimizer and random states are left as they were found.

    Args:
        model: eager, in the mode that it is to be recorded in.
        data: images as the model takes them, (B, C, H, W); a tuple or a dict of tensors for a model of several
            inputs. With ``loss`` a pair of these and the labels.
        loss: a callable of logits and labels, or a loss's name; with it a whole training step is recorded.
        optimizer: over the model's parameters, or an optimizer's name; without one the step ends with the gradients.
        rules: accumulation, clipping and precision of the step.
        modules: paths of the modules whose numbers are kept, to save memory; by default those of all. What is not
            kept is computed again when it is asked for.
        prepare: makes of the images what the model takes; recorded as well, and the images are then ``pixel``.
        keep: leave gradients, optimizer and updated weights as they are after the step.

    Raises:
        TapeError: the model or the images cannot be recorded.
        ShapeError: something does not fit a layer; the tape up to there is the error's ``tape``.
    """
    check_request(model, data, loss, optimizer, modules, rules)
    inputs, labels = data if loss is not None else (data, None)
    if prepare is None:
        check_model_and_images(model, tensors_in(inputs))
    device = tensors_in(inputs)[0].device
    loss_function = _loss_function(loss, device)
    stepper = _optimizer(optimizer, model, device)
    path = ModulePath(model, gradients=loss is not None)
    recorder = Recorder(path, None if modules is None else frozenset(modules))
    names = _names_before(model, stepper, recorder)
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        if not keep:
            stack.enter_context(left_untouched(model, stepper, rules.scaler))
        stack.enter_context(_contents_put_back(recorder, model, stepper, keep))
        stack.enter_context(plain_arithmetic(stepper))
        stack.enter_context(_failures_explained(recorder, names, device))
        watched = watched_update(stepper, model, recorder.value_of)
        with path.watching(recorder.value_of), recorder, watched as beginnings:
            if prepare is not None:
                inputs = _prepared(prepare, inputs, model, names, recorder)
            outcome = _run(model, inputs, labels, loss_function, stepper, rules, recorder, path)
        _names_after(names, outcome, model, stepper, recorder)
    return Tape(recorder.operations, names, _facts(stepper, beginnings, rules))


@contextmanager
def _failures_explained(recorder: Recorder, names: Names, device: torch.device) -> Generator[None]:
    """Raises in place of what the model or torch raises an error that says where it came from."""
    try:
        yield
    except DotbogiError:
        raise
    except torch.OutOfMemoryError as error:
        raise out_of_memory(error, device) from error
    except Exception as error:
        names.calls = recorder.path.calls
        in_forward = recorder.path if recorder.stage in (BATCH, MODEL) else None
        raise explained_failure(error, in_forward, Tape(recorder.operations, names, {})) from error


def _prepared(prepare: Callable[[Any], Any], images: Any, model: nn.Module, names: Names, recorder: Recorder) -> Any:
    """Returns the model's input, made of images that get the name ``pixel``."""
    _numbered(names.given, "pixel", [recorder.value_of(tensor) for tensor in tensors_in(images)])
    recorder.enter(BATCH)
    inputs = prepare(images)
    recorder.enter(MODEL)
    check_model_and_images(model, tensors_in(inputs))
    return inputs


def _run(
    model: nn.Module,
    inputs: Any,
    labels: Any,
    loss_function: LossFunction | None,
    optimizer: torch.optim.Optimizer | None,
    rules: StepRules,
    recorder: Recorder,
    path: ModulePath,
) -> tuple[Any, Tensor | None]:
    """Returns the model's output and the loss."""
    first, *others = tensors_in(inputs)
    if loss_function is None:
        with rules.precision(first.device):
            return _called(model, inputs), None
    seen: list[Any] = []

    def called(images: Tensor) -> Any:
        seen.append(model(images) if inputs is images or not others else _called(model, inputs))
        return seen[-1]

    def enter(stage: Stage) -> None:
        recorder.enter(stage, model.parameters())
        path.in_backward = stage is GRADIENT

    def kept_loss(logits: Any, labels: Tensor) -> Tensor:
        seen_loss.append(loss_function(logits, labels))
        return seen_loss[-1]

    seen_loss: list[Tensor] = []
    _logits, total = training_step(
        called, kept_loss, optimizer or _no_optimizer(model), first, labels, rules=rules, enter=enter
    )
    return seen[0], seen_loss[0] if len(seen_loss) == 1 else total


def _no_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return cast(torch.optim.Optimizer, _NoOptimizer(model))


class _NoOptimizer:
    """What a step without an update has in the optimizer's place."""

    def __init__(self, model: nn.Module) -> None:
        self.param_groups = [{"params": list(model.parameters())}]
        self.defaults: dict[str, Any] = {"foreach": False}

    def zero_grad(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    def step(self) -> None:
        """Updates nothing."""


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)


def _loss_function(loss: LossFunction | str | None, device: torch.device) -> LossFunction | None:
    if isinstance(loss, str):
        recipe = recipes.Loss(name=loss)
        return build_loss(recipe, num_classes=0, device=device, dtype=torch.float32)
    return loss


def _optimizer(
    optimizer: torch.optim.Optimizer | str | None, model: nn.Module, device: torch.device
) -> torch.optim.Optimizer | None:
    if isinstance(optimizer, str):
        return build_optimizer(recipes.Optimizer(name=optimizer, form=SINGLE_TENSOR), model, device)
    return optimizer


@contextmanager
def _contents_put_back(
    recorder: Recorder, model: nn.Module, optimizer: torch.optim.Optimizer | None, keep: bool
) -> Generator[None]:
    """Leaves every tensor that was there before as it was, and gives the tape copies of its own."""
    try:
        yield
    finally:
        models_own = recorder.memories_of([*model.parameters(), *model.buffers()])
        for memory in recorder.memories.values():
            if memory.outside and memory.version and not keep:
                memory.put_back()
            elif memory.outside:
                memory.let_go(lazily=memory in models_own)
        if keep:
            _let_go_of_what_stays(recorder, model, optimizer)


def _let_go_of_what_stays(recorder: Recorder, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    """Copies what the step made and the next one will write into: gradients, buffers, the optimizer's state."""
    groups = optimizer.param_groups if optimizer else []
    states = optimizer.state.values() if optimizer else []
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    of_groups = [part for group in groups for key, part in group.items() if key != "params"]
    stays = tensors_in([gradients, list(model.buffers()), list(states), of_groups])
    for memory in recorder.memories_of(stays):
        if not memory.outside:
            memory.let_go()


def _names_before(model: nn.Module, optimizer: torch.optim.Optimizer | None, recorder: Recorder) -> Names:
    names = Names(modules=[name for name, _module in model.named_modules(remove_duplicate=False)])
    first_of: dict[int, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.aliases[name] = first_of.setdefault(id(module), name)
        names.types[name] = type(module).__name__
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.given[name] = recorder.value_of(parameter)
        names.parameters.append(name)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        names.given[name] = recorder.value_of(buffer)
        names.buffers.append(name)
    for name, parameter in model.named_parameters(remove_duplicate=False) if optimizer else ():
        for key, part in optimizer.state.get(parameter, {}).items() if optimizer else ():
            if isinstance(part, Tensor):
                names.before[f"state {name}.{key}"] = recorder.value_of(part)
    return names


def _names_after(
    names: Names,
    outcome: tuple[Any, Tensor | None],
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    recorder: Recorder,
) -> None:
    _output, loss = outcome
    names.calls = recorder.path.calls
    root = next(call for call in names.calls if not call.name)
    _numbered(names.given, "input", root.inputs)
    _numbered(names.given, "logits", root.outputs)
    if loss is None:
        return
    for position, gradient in root.gradients.items():
        names.given["gradient logits" + (f":{position}" if position else "")] = gradient
    names.given["loss"] = recorder.value_of(loss)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in recorder.gradients:
            names.given[f"gradient {name}"] = recorder.gradients[id(parameter)]
        if optimizer is not None:
            names.given[f"update {name}"] = recorder.value_of(parameter)
            _name_state(names, name, optimizer.state.get(parameter, {}), recorder)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        names.given[f"update {name}"] = recorder.value_of(buffer)


def _name_state(names: Names, parameter: str, state: Mapping[str, Any], recorder: Recorder) -> None:
    for key, part in state.items():
        if isinstance(part, Tensor):
            names.given[f"state {parameter}.{key}"] = recorder.value_of(part)
        elif isinstance(part, (int, float)):
            names.numbers[f"state {parameter}.{key}"] = float(part)


def _numbered(given: dict[str, Value], name: str, values: Sequence[Value]) -> None:
    for position, value in enumerate(values):
        given[name + (f":{position}" if position else "")] = value


def _facts(optimizer: torch.optim.Optimizer | None, beginnings: Beginnings, rules: StepRules) -> dict[str, Any]:
    """Returns what is on the tape beside the operations: the optimizer with its options, and the step's rules."""
    kind = type(optimizer)
    return {
        "optimizer": kind.__name__ if optimizer else "",
        "implementation": f"{kind.__module__}:{kind.__qualname__}" if optimizer else "",
        "groups": beginnings.plain_groups(),
        "parameters": beginnings.parameters,
        "rules": rules,
        "threads": torch.get_num_threads(),
    }
