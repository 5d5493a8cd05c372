"""What recording costs beside the same pass unrecorded, in time and memory; and how fast numbers are opened.

The plain step is as the recording's: the optimizer operation by operation. TorchLens, which records every operation of
a forward pass too, runs in the same rounds where it is installed. All in one process, interleaved.
"""

import argparse
import gc
import random
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

import dotbogi
from dotbogi.models.build import build_model
from dotbogi.recipe import Model
from measuring import Results, options, print_head, print_table, say, seconds_of

LARGE, SMALL = "ResNet-50, 224×224, batch 2", "ResNet-18, 64×64, batch 1"
EXPLAINED = 300


class EmptyMode(TorchDispatchMode):
    """Sees every operation and does nothing with it: what any recording costs at least."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation."""
        return func(*args, **(kwargs or {}))


def network(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Returns a network with random weights, images and labels."""
    from torchvision import models

    torch.manual_seed(0)
    if name == LARGE:
        return models.resnet50(weights=None), torch.randn(2, 3, 224, 224), torch.tensor([1, 3])
    return models.resnet18(weights=None), torch.randn(1, 3, 64, 64), torch.tensor([1])


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """Makes one step."""
    loss = cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def measure_round(results: Results, name: str) -> None:
    """Adds the seconds of every way to run a network, each once after a run that does not count."""
    model, images, labels = network(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, foreach=False)
    ways: dict[str, Callable[[], Any]] = {
        "forward": lambda: model(images),
        "forward in an empty mode": lambda: in_mode(lambda: model(images)),
        "forward recorded": lambda: dotbogi.record(model, images),
        "step": lambda: plain_step(model.train(), optimizer, images, labels),
        "step in an empty mode": lambda: in_mode(lambda: plain_step(model.train(), optimizer, images, labels)),
        "step recorded": lambda: dotbogi.record(model, (images, labels), loss=cross_entropy, optimizer=optimizer),
    }
    if find_spec("torchlens"):
        ways["forward in TorchLens"] = lambda: lens(model, images)
    for way, run in ways.items():
        model.eval() if way.startswith("forward") else model.train()
        run()
        gc.collect()
        results.add(f"{name}, {way}", statistics.median(seconds_of(run) for _ in range(3)), "s", 4)


def in_mode(run: Callable[[], Any]) -> Any:
    """Runs something in an empty mode."""
    with EmptyMode():
        return run()


def lens(model: nn.Module, images: Tensor) -> Any:
    """Records a forward pass with TorchLens, every value kept."""
    import torchlens

    return torchlens.trace(model, images)


def measure_opening(results: Results) -> None:
    """Adds the milliseconds of an explanation, of a full expansion, and of a what-if beside what follows."""
    model, images, labels = network(LARGE)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
    tape = dotbogi.record(model.train(), (images, labels), loss=cross_entropy, optimizer=optimizer)
    draw = random.Random(0)
    operations = [operation for operation in tape.operations if operation.explained and operation.outputs]
    taken: list[float] = []
    for operation in (draw.choice(operations) for _ in range(EXPLAINED)):
        value = draw.choice(operation.outputs)
        index = tuple(draw.randrange(size) for size in value.shape)
        taken.append(1000 * seconds_of(lambda value=value, index=index: tape.explain(value, index).result))
    results.add("one explanation (ResNet-50 step), median", statistics.median(taken), "ms", 2)
    results.add("one explanation (ResNet-50 step), 95th percentile", statistics.quantiles(taken, n=20)[-1], "ms", 2)
    measure_expansion(results)
    measure_what_if(results)


def measure_expansion(results: Results) -> None:
    """Adds the seconds in which a logit of the lecture's CNN is followed back to all pixels and weights."""
    from dotbogi.tape.analyses.expansion import expand_to_pixels

    model = build_model(Model(name="simple-cnn"), num_classes=10, in_channels=1, image_size=(28, 28), seed=0)
    tape = dotbogi.record(model.eval(), torch.rand(1, 1, 28, 28))
    expansion = expand_to_pixels(tape, "logits[0,7]")
    results.notes["values in the expansion"] = f"{expansion.total:,}"
    results.add(
        "full expansion of a logit (simple-cnn)", seconds_of(lambda: expand_to_pixels(tape, "logits[0,7]")), "s", 3
    )


def measure_what_if(results: Results) -> None:
    """Adds the ratio of a what-if in the middle of ResNet-18 to the time of the operations that follow."""
    from torchvision import models

    torch.manual_seed(0)
    model, images = models.resnet18(weights=None).eval(), torch.randn(1, 3, 224, 224)
    tape = dotbogi.record(model, images)
    change = {"layer3.0.conv1.weight[3,0,1,1]": 0.5}
    hidden = model.layer2(model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(images)))))).detach()

    def following() -> None:
        with torch.no_grad():
            x = model.layer4(model.layer3(hidden))
            model.fc(torch.flatten(model.avgpool(x), 1))

    following()
    tape.what_if(change)
    pairs = [(seconds_of(lambda: tape.what_if(change)), seconds_of(following)) for _ in range(15)]
    results.add("what-if ÷ the operations that follow", statistics.median(a / b for a, b in pairs), "", 2)


def peak_mib(what: str) -> float:
    """Returns the peak memory of a fresh process that runs a ResNet-50 step at batch 1."""
    command = [sys.executable, str(Path(__file__)), "--peak", what]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def print_peak(what: str) -> None:
    """Runs one kind of step and prints this process's peak memory in MiB."""
    model, images, labels = network(LARGE)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
    images, labels = images[:1], labels[:1]
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # a batch of one image has no statistics in the last layers
    if what == "plain":
        plain_step(model, optimizer, images, labels)
    else:
        modules = None if what == "everything" else ["layer4"]
        dotbogi.record(model, (images, labels), loss=cross_entropy, optimizer=optimizer, modules=modules)
    print(peak_of_this_process())


def peak_of_this_process() -> float:
    """Returns this process's peak memory in MiB; on Linux not from getrusage, which begins with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def print_recording(results: Results) -> None:
    """Prints the tables."""
    rows: list[list[str]] = []
    for name in (LARGE, SMALL):
        for way in [key.removeprefix(f"{name}, ") for key in results.values if key.startswith(name)]:
            key, base = f"{name}, {way}", f"{name}, {way.split()[0]}"
            rows.append([name, way, f"{1000 * results.median(key):.1f}", f"{results.ratio(key, base):.2f}"])
    print_table(["network", "what", "ms", "÷ plain"], rows)
    print()
    others = [key for key in results.values if not key.startswith((LARGE, SMALL))]
    print_table(
        ["opening, memory", "median", "min…max"],
        [[key, f"{results.median(key):.2f}", results.spread(key, 2)] for key in others],
    )
    for note, text in results.notes.items():
        print(f"\n{note}: {text}")


def main() -> None:
    """Measures and prints."""
    parser: argparse.ArgumentParser = options(__doc__ or "")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print_peak(given.peak)
        return
    results = Results("Recording and opening")
    for number in range(1 if given.quick else given.rounds):
        say(f"round {number + 1}")
        for name in (SMALL,) if given.quick else (LARGE, SMALL):
            measure_round(results, name)
    measure_opening(results)
    plain = peak_mib("plain")
    for what in ("everything", "layer4"):
        results.add(f"memory beyond the plain ResNet-50 step, batch 1, {what} kept", peak_mib(what) - plain, "MiB")
    print_head(results.title)
    print_recording(results)
    results.write(given.json)


if __name__ == "__main__":
    main()
