"""The same training as others write it: the lecture's loop, skorch, fastai.

Each takes the same network, images, batch size and optimizer (SGD with momentum .9),
and says how long each epoch's training took, its own validation aside.
"""

import contextlib
import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from dotbogi.data.dataset import Split
from fashion_mnist import training_and_test, unit_range

MOMENTUM = 0.9
LECTURE = "the lecture's loop"


@dataclass(frozen=True)
class Task:
    """What everybody trains.

    Args:
        make_model: gives the network with fresh weights.
        epochs: passes over the training images.
        batch_size: images per step.
        lr: constant learning rate.
        seed: of weights and order.
        quick: on a few images.
    """

    make_model: Callable[[], nn.Module]
    epochs: int
    batch_size: int
    lr: float
    seed: int = 0
    quick: bool = False

    @property
    def training(self) -> Split:
        """Images and labels to train on, opened once per process."""
        return training_and_test(self.quick)[0]

    @property
    def test(self) -> Split:
        """Images and labels to judge by."""
        return training_and_test(self.quick)[1]

    def seeded_model(self) -> nn.Module:
        """Returns the network, its weights drawn from the seed."""
        torch.manual_seed(self.seed)
        return self.make_model()


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Args:
        epoch_s: seconds of each epoch.
        images: training images of each epoch.
        model: trained.
    """

    epoch_s: list[float]
    images: int
    model: nn.Module

    @property
    def images_per_second(self) -> float:
        """Of the last epoch: in the first a library still sets things up."""
        return self.images / self.epoch_s[-1]


def accuracy(model: nn.Module, test: Split) -> float:
    """Returns the fraction of test images that a model classifies rightly, 0…1."""
    images, labels = unit_range(test)
    model.eval()
    with torch.no_grad():
        predictions = torch.cat([model(part).argmax(1) for part in images.split(500)])  # (N,)
    return (predictions == labels).float().mean().item()


@contextlib.contextmanager
def unseen_output() -> Generator[None]:
    """Lets a library print as it does for its users, where nobody sees it."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield


class PictureDataset(Dataset[tuple[Tensor, int]]):
    """Pictures (H, W, C) as numpy arrays, each brought to a tensor when it is asked for, as in the lecture."""

    def __init__(self, split: Split) -> None:
        from torchvision.transforms import v2

        self.transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
        self.pictures = list(split.images.permute(0, 2, 3, 1).numpy())  # N of (H, W, C)
        self.labels = split.labels.tolist()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.pictures[index]), self.labels[index]


def lecture_loop(task: Task) -> Outcome:
    """The lecture's loop: DataLoader, a transform per picture, the five lines, the loss printed at each step."""
    model = task.seeded_model()
    data_loader = DataLoader(PictureDataset(task.training), batch_size=task.batch_size, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=task.lr, momentum=MOMENTUM)
    epoch_s: list[float] = []
    with unseen_output():
        for epoch in range(task.epochs):
            began = time.perf_counter()
            for i, (inputs, targets) in enumerate(data_loader):
                optimizer.zero_grad()
                outputs = model(inputs)  # (B, K)
                loss = criterion(outputs, targets)
                loss.backward()
                optimizer.step()
                print(f"[Epoch {epoch + 1}/{task.epochs}, Step {i + 1}] Loss: {loss.item():.4f}")
            epoch_s.append(time.perf_counter() - began)
    return Outcome(epoch_s, len(task.training.labels), model)


def skorch(task: Task) -> Outcome:
    """skorch on float32 arrays, as in its MNIST notebook; without its validation split, so that it sees all images."""
    from skorch import NeuralNetClassifier

    torch.manual_seed(task.seed)
    images, labels = unit_range(task.training)
    net = NeuralNetClassifier(
        task.make_model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=MOMENTUM,
        lr=task.lr,
        max_epochs=task.epochs,
        batch_size=task.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
    )
    with unseen_output():
        net.fit(images.numpy().astype(np.float32), labels.numpy())
    return Outcome(net.history[:, "dur"], len(labels), net.module_)


def fastai_tensors(task: Task) -> Outcome:
    """fastai's ``Learner.fit`` on images that lie ready as float32 tensors: its fastest way."""
    from fastai.data.core import DataLoaders

    loaders = DataLoaders.from_dsets(
        TensorDataset(*unit_range(task.training)),
        TensorDataset(*unit_range(task.test)),
        bs=task.batch_size,
        num_workers=0,
        device=torch.device("cpu"),
    )
    return _fastai(task, loaders)


def fastai_transforms(task: Task) -> Outcome:
    """fastai's ``Learner.fit`` on DataLoaders with a transform per picture, as in its "Pure PyTorch to fastai"."""
    from fastai.data.core import DataLoaders

    loaders = DataLoaders(
        DataLoader(PictureDataset(task.training), batch_size=task.batch_size, shuffle=True),
        DataLoader(PictureDataset(task.test), batch_size=500),
        device=torch.device("cpu"),
    )
    return _fastai(task, loaders)


def _fastai(task: Task, loaders: object) -> Outcome:
    from fastai.callback import progress  # noqa: F401  its users import everything, and so have the progress bar
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from fastai.optimizer import SGD

    stopwatch = training_stopwatch()
    learner = Learner(
        loaders,
        task.seeded_model(),
        loss_func=nn.CrossEntropyLoss(),
        opt_func=lambda parameters, lr: SGD(parameters, lr, mom=MOMENTUM),
        metrics=accuracy,
        cbs=stopwatch,
    )
    with unseen_output():
        learner.fit(task.epochs, task.lr)
    return Outcome(stopwatch.epoch_s, len(task.training.labels), learner.model)


def training_stopwatch():
    """Returns a fastai callback that keeps the seconds of each epoch's training, validation aside."""
    from fastai.callback.core import Callback

    class TrainingStopwatch(Callback):
        def __init__(self) -> None:
            self.epoch_s: list[float] = []

        def before_train(self) -> None:
            self.began = time.perf_counter()

        def after_train(self) -> None:
            self.epoch_s.append(time.perf_counter() - self.began)

    return TrainingStopwatch()


def available() -> dict[str, Callable[[Task], Outcome]]:
    """Returns the peers by name; of skorch and fastai those that are installed."""
    found: dict[str, Callable[[Task], Outcome]] = {LECTURE: lecture_loop}
    if find_spec("skorch"):
        found["skorch"] = skorch
    if find_spec("fastai"):
        found |= {"fastai, tensors": fastai_tensors, "fastai, transforms": fastai_transforms}
    return found


def numbers(name: str, task: Task) -> tuple[float, float]:
    """Lets a peer train; returns its images per second and its test accuracy, 0…1."""
    outcome = available()[name](task)
    return outcome.images_per_second, accuracy(outcome.model, task.test)
