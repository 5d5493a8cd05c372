"""A person's own model: ``path/to/file.py:factory``."""

import hashlib
import importlib.abc
import importlib.util
import inspect
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from dotbogi.errors import DotbogiError, ModelError
from dotbogi.language import _
from dotbogi.models.model import OwnModel
from dotbogi.models.source_line import said, source_line, wants_network
from dotbogi.registry import nearest

OFFERED = ("num_classes", "in_channels", "image_size")


def is_own_model(name: str) -> bool:
    """Whether a recipe's model name is the path of a Python file, with or without a factory."""
    return name.endswith(".py") or name.rpartition(":")[0].endswith(".py")


def read_own_model(name: str) -> OwnModel:
    r"""Reads the file of a person's own model; executes nothing.

    Args:
        name: ``path/to/file.py:factory``; ``C:\models\net.py:Net`` is understood.

    Raises:
        ModelError: no factory is named, or the file is missing or no Python text.
    """
    name = name.removesuffix(":")
    location, _colon, factory_name = (name, "", "") if name.endswith(".py") else name.rpartition(":")
    if not factory_name:
        raise ModelError(
            _("{name} names a file, but nothing in it.").format(name=name),
            fix=_("Add the function or class that returns the model: {name}:NAME.").format(name=name),
        )
    path = Path(location).expanduser().absolute()
    source = _read(path)
    try:
        text = importlib.util.decode_source(source)
    except (UnicodeDecodeError, SyntaxError):
        raise ModelError(_("{path} is no Python text.").format(path=path), fix=_("Save it as UTF-8.")) from None
    return OwnModel(str(path), factory_name, text, hashlib.sha256(source).hexdigest())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            _("The model's file {path} cannot be read: {error}.").format(path=path, error=error.strerror),
            fix=_("Say where it is with --model path/to/file.py:factory."),
        ) from None


def reopen_own_model(stored: OwnModel) -> OwnModel:
    """Reads the file of a stored run's model again; executes nothing.

    Args:
        stored: as it was when the run began.

    Raises:
        ModelError: the file is missing, or is not what it was.
    """
    found = read_own_model(stored.name)
    if found.sha256 != stored.sha256:
        raise ModelError(
            _("{path} has changed since the run.").format(path=stored.path),
            fix=_("Bring the old text back (the run keeps it), or name the file with --model to take it as it is now."),
        )
    return found


def build_own_model(own: OwnModel, *, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Executes a person's file and calls its factory.

    Args:
        own: as :func:`read_own_model` returns it; the text that was read is what is executed.
        num_classes, in_channels, image_size: given to the factory where it has an argument of that name.

    Raises:
        ModelError: the file does not import, has no such factory, or the factory raises, asks for other
            arguments, or returns no ``nn.Module``; with the file and the line.
    """
    path = Path(own.path)
    offered = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    with _importable(path.parent):
        factory = _factory(own, _import(own))
        arguments = {name: offered[name] for name in _asked_for(own, factory)}
        model = _run(own, lambda: factory(**arguments))
    _refuse_unusable(own.name, model)
    return model


def _refuse_unusable(name: str, model: Any) -> None:
    if isinstance(model, torch.jit.ScriptModule) or hasattr(model, "_orig_mod"):
        raise ModelError(
            _("{name} returned a scripted or compiled module, which cannot be trained here.").format(name=name),
            fix=_("Return the module that it was made from."),
        )
    if not isinstance(model, nn.Module):
        raise ModelError(
            _("{name} returned {type}, not a torch.nn.Module.").format(name=name, type=type(model).__name__),
            fix=_("Return the model itself."),
        )
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ModelError(
            _("The model has parameters on the device meta, which have no values."),
            fix=_("Give them values first: model.to_empty(device='cpu'), then initialise them."),
        )


class _TextLoader(importlib.abc.ExecutionLoader):
    """Executes exactly the text that was read and hashed: no second read, no bytecode file beside it."""

    def __init__(self, own: OwnModel) -> None:
        self.own = own

    def get_filename(self, fullname: str) -> str:
        return self.own.path

    def get_source(self, fullname: str) -> str:
        return self.own.text

    def is_package(self, fullname: str) -> bool:
        return False


def _import(own: OwnModel) -> ModuleType:
    # Two files of the same name, or two versions of one file, must not meet under one name.
    unique = hashlib.sha256(f"{own.path}\0{own.sha256}".encode()).hexdigest()[:16]
    spec = importlib.util.spec_from_loader(f"dotbogi_own_model_{unique}", _TextLoader(own))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up there
    _run(own, lambda: spec.loader.exec_module(module))  # pyright: ignore[reportOptionalMemberAccess]
    return module


@contextmanager
def _importable(folder: Path) -> Generator[None]:
    """Lets files that lie beside the model be imported meanwhile, and forgets them after."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            # Another model's blocks.py must not be taken for this one's.
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder) and "site-packages" not in Path(file).parts:
                _forget_unless_own(name)


def _forget_unless_own(name: str) -> None:
    if not name.startswith("dotbogi_own_model_"):
        del sys.modules[name]


def _run(own: OwnModel, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except DotbogiError:
        raise
    except (Exception, SystemExit) as error:
        where = source_line(error, Path(own.path)) or own.path
        if wants_network(error):
            raise ModelError(
                _("{where}: the model wants a download, and there is no connection ({error}).").format(
                    where=where, error=said(error)
                ),
                fix=_("Connect to the internet once, or build it without published weights."),
            ) from None
        raise ModelError(
            _("{where}: {error}").format(where=where, error=said(error)),
            fix=_("Mend the file; --debug shows the whole traceback."),
        ) from error


def _factory(own: OwnModel, module: ModuleType) -> Callable[..., Any]:
    factory = getattr(module, own.factory_name, None)
    if isinstance(factory, nn.Module):  # callable, but with images
        raise ModelError(
            _("{name} is a model that has been built already.").format(name=own.name),
            fix=_("Name the class, or a function that returns a new model."),
        )
    if callable(factory):
        return factory
    there = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    close = nearest(own.factory_name, there) or there
    raise ModelError(
        _("{path} has no function or class {name}.").format(path=own.path, name=own.factory_name),
        fix=_("Did you mean {names}?").format(names=", ".join(close)) if close else "",
    )


def _asked_for(own: OwnModel, factory: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(factory).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [parameter for parameter in parameters if parameter.kind not in variadic]
    other = [
        parameter.name
        for parameter in named
        if parameter.default is inspect.Parameter.empty
        and (parameter.name not in OFFERED or parameter.kind is inspect.Parameter.POSITIONAL_ONLY)
    ]
    if other:
        raise ModelError(
            _("{name} needs arguments that are not known here: {arguments}.").format(
                name=own.name, arguments=", ".join(other)
            ),
            fix=_("It may ask for {offered}; give every other argument a default.").format(offered=", ".join(OFFERED)),
        )
    return [
        parameter.name
        for parameter in named
        if parameter.name in OFFERED and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY
    ]
