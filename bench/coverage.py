"""How much of a recording is explained, and how much of that agrees: torchvision's and timm's classifiers.

Random weights, each model in a process of its own: the forward pass at evaluation, and one training step with SGD and
momentum and with AdamW. Counted are the values that operations wrote, plumbing aside (see `tape/operation.py`), by
operation and by element. Of each distinct operation with its settings and of every optimizer's updates elements are
drawn at random, explained and compared.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measuring import machine, options, print_head, print_table, say

OPTIMIZERS = ("momentum", "adamw")
LARGE = 200_000_000  # parameters; larger models are only recorded at evaluation
SIZES = (64, 224, 256, 299)
SAMPLES = 20
PARAMETERS = 3  # of which elements of the update are explained
IN_CI = (
    "torchvision/resnet18",
    "torchvision/mobilenet_v3_small",
    "torchvision/squeezenet1_1",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/vit_b_16",
    "timm/convnext_atto",
)
TIMM = [
    "bat_resnext26ts",
    "convnext_atto",
    "convnextv2_atto",
    "cs3darknet_s",
    "cspresnet50",
    "darknet53",
    "densenet121",
    "dla34",
    "dm_nfnet_f0",
    "dpn48b",
    "eca_nfnet_l0",
    "edgenext_xx_small",
    "efficientnet_b0",
    "ese_vovnet19b_dw",
    "fasternet_t0",
    "fbnetc_100",
    "gcresnext26ts",
    "ghostnet_100",
    "gernet_s",
    "halonet26t",
    "hardcorenas_a",
    "hgnet_tiny",
    "hrnet_w18_small",
    "inception_next_atto",
    "lambda_resnet26t",
    "lcnet_050",
    "legacy_seresnet18",
    "mixnet_s",
    "mnasnet_small",
    "mobilenetv4_conv_small",
    "mobileone_s0",
    "nf_resnet26",
    "pit_ti_224",
    "regnetx_002",
    "repvgg_a0",
    "res2net50_14w_8s",
    "resnest14d",
    "resnetv2_50",
    "selecsls42",
    "skresnet18",
    "tf_efficientnetv2_b0",
    "tinynet_e",
    "tresnet_m",
    "xception41",
]


@dataclass
class Coverage:
    """What came of one model.

    Args:
        model: its name.
        pass_name: ``evaluation``, or the optimizer of the step.
        operations, elements: recorded, plumbing aside.
        explained_operations, explained_elements: of those, what has an explanation.
        sampled, agreed: numbers that were explained, and those within tolerance.
        missing: names of operations without an explanation → how often.
        disagreeing: what was explained wrongly, one line each.
        error: why there is nothing, or an empty text.
        elapsed_s: seconds.
    """

    model: str
    pass_name: str
    operations: int = 0
    elements: int = 0
    explained_operations: int = 0
    explained_elements: int = 0
    sampled: int = 0
    agreed: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    disagreeing: list[str] = field(default_factory=list)
    error: str = ""
    elapsed_s: float = 0.0


def model_names() -> list[str]:
    """Returns all classifiers of torchvision that are no quantised ones, and those of timm."""
    from torchvision import models

    return [f"torchvision/{name}" for name in models.list_models(models)] + [f"timm/{name}" for name in TIMM]


def measured(name: str) -> Iterator[Coverage]:
    """Records a model and explains what was recorded, pass by pass."""
    import torch

    import dotbogi
    from dotbogi.recipe import Optimizer

    torch.set_num_threads(1)
    model, images = built(name)
    labels = torch.tensor([1, 3])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    began = time.perf_counter()
    tape = dotbogi.record(model.eval(), images)
    yield counted(tape, Coverage(name, "evaluation"), began)
    for optimizer in OPTIMIZERS if parameters < LARGE else ():
        began = time.perf_counter()
        stepper = an_optimizer(Optimizer(name=optimizer, form="single-tensor"), model)
        tape = dotbogi.record(model.train(), (images, labels), loss=loss, optimizer=stepper)
        yield counted(tape, Coverage(name, optimizer), began)


def an_optimizer(recipe: Any, model: Any) -> Any:
    """Returns an optimizer over a model's parameters."""
    import torch

    from dotbogi.optim.optimizer import build_optimizer

    return build_optimizer(recipe, model, torch.device("cpu"))


def loss(logits: Any, labels: Any) -> Any:
    """Returns the cross entropy; auxiliary outputs (Inception, GoogLeNet) count too, with a weight of .3."""
    from torch.nn.functional import cross_entropy

    outputs = list(logits) if isinstance(logits, tuple) else [logits]
    first, *others = (cross_entropy(one, labels) for one in outputs if one is not None)
    return first + sum(0.3 * one for one in others)


def built(name: str) -> tuple[Any, Any]:
    """Returns a model with random weights and the smallest images that it takes."""
    import torch

    library, _slash, inner = name.partition("/")
    torch.manual_seed(0)
    if library == "timm":
        import timm

        model = timm.create_model(inner, pretrained=False, num_classes=10)
    else:
        from torchvision import models

        model = models.get_model(inner, weights=None, num_classes=10)
    for size in SIZES:
        images = torch.randn(2, 3, size, size)
        try:
            with torch.no_grad():
                model.eval()(images)
                model.train()(images)
        except Exception:
            continue
        torch.manual_seed(0)
        return model, images
    raise ValueError(f"{name} takes none of {SIZES}")


def counted(tape: Any, coverage: Coverage, began: float) -> Coverage:
    """Counts what is explained, and explains elements drawn at random."""
    draw = random.Random(0)
    configurations: dict[str, list[Any]] = {}
    missing: Counter[str] = Counter()
    for operation in tape.operations:
        if operation.plumbing:
            continue
        elements = sum(value.numel() for value in operation.outputs)
        coverage.operations += 1
        coverage.elements += elements
        if operation.explained:
            coverage.explained_operations += 1
            coverage.explained_elements += elements
            configurations.setdefault(configuration(operation), []).append(operation)
        else:
            missing[operation.name] += 1
    coverage.missing = dict(missing)
    for operations in configurations.values():
        for _ in range(SAMPLES):
            operation = draw.choice(operations)
            for value in operation.outputs:
                if value.numel():
                    judge(coverage, tape, (value, tuple(draw.randrange(size) for size in value.shape)))
    for address in updates(tape, draw):
        judge(coverage, tape, (address,))
    coverage.elapsed_s = time.perf_counter() - began
    return coverage


def configuration(operation: Any) -> str:
    """Returns what tells one use of an operation from another: settings, types and numbers of axes, not sizes."""
    settings = [repr(one) for one in operation.arguments if isinstance(one, (bool, str))]
    settings += [f"{len(one)}{one[:3]}" for one in operation.arguments if isinstance(one, (list, tuple))]
    kinds = [f"{value.dtype}{len(value.shape)}" for value in (*operation.inputs, *operation.outputs)]
    return " ".join([operation.name, *settings, *kinds, *sorted(operation.keywords)])


def updates(tape: Any, draw: random.Random) -> Iterator[str]:
    """Yields addresses of updated weights, gradients and states of a few parameters."""
    names = [name for name in tape.names.parameters if f"update {name}" in tape.names.given]
    for name in draw.sample(names, min(PARAMETERS, len(names))):
        shape = tape.names.given[name].shape
        for _ in range(SAMPLES // 4):
            index = ",".join(str(draw.randrange(size)) for size in shape)
            yield f"update {name}[{index}]"
            yield f"gradient {name}[{index}]"


def judge(coverage: Coverage, tape: Any, asked: tuple[Any, ...]) -> None:
    """Explains one number, and keeps whether it agrees."""
    coverage.sampled += 1
    try:
        explanation = tape.explain(*asked)
        agrees = explanation.agrees and explanation.kind != "unexplained"
        told = f"{explanation.operation and explanation.operation.name}: {explanation.result} ≠ {explanation.recorded}"
    except Exception as error:
        agrees, told = False, f"{asked}: {type(error).__name__}: {error}"
    coverage.agreed += agrees
    if not agrees and len(coverage.disagreeing) < 20:
        coverage.disagreeing.append(told)


def in_own_process(name: str, limit_s: float) -> list[Coverage]:
    """Measures a model in a process of its own."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return [Coverage(name, "evaluation", error=f"not done after {limit_s:.0f} s")]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [Coverage(**line) for line in lines]
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        found.append(Coverage(name, "", error=last))
    return found


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "", rounds=1)
    parser.add_argument("--models", nargs="+", help="such as torchvision/resnet18 (default: all)")
    parser.add_argument("--ci", action="store_true", help="only six models")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for a model (default: %(default)s)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Measures and prints; exit code 1 where something is not explained or does not agree."""
    given = arguments().parse_args()
    if given.one:
        for coverage in measured(given.one):
            print(json.dumps(asdict(coverage)), flush=True)
        return 0
    names = given.models or (IN_CI if given.ci else model_names())
    found: list[Coverage] = []
    for name in names:
        for coverage in in_own_process(name, given.limit):
            found.append(coverage)
            say(line_of(coverage))
    print_head("Coverage of explanations")
    print_coverage(found)
    if given.json:
        write(given.json, found)
    whole = all(not one.error and one.explained_operations == one.operations for one in found)
    return 0 if whole and all(one.agreed == one.sampled for one in found) else 1


def line_of(one: Coverage) -> str:
    """Returns a model's result in one line."""
    if one.error:
        return f"{one.model} {one.pass_name}: {one.error}"
    return (
        f"{one.model} {one.pass_name}: {one.explained_operations}/{one.operations} operations, "
        f"{one.agreed}/{one.sampled} within tolerance, {one.elapsed_s:.0f} s {one.missing or ''} "
        + "; ".join(one.disagreeing[:3])
    )


def print_coverage(found: list[Coverage]) -> None:
    """Prints a row per pass, and what is missing."""
    rows: list[list[str]] = []
    for pass_name in ("evaluation", *OPTIMIZERS):
        of_pass = [one for one in found if one.pass_name == pass_name and not one.error]
        if of_pass:
            rows.append([pass_name, f"{len(of_pass)}", *(share(of_pass, *names) for names in SHARES)])
    print_table(["pass", "models", "explained, by operation", "by element", "within tolerance"], rows)
    missing = Counter[str]()
    for one in found:
        missing.update(one.missing)
        if one.error:
            print(f"\n{one.model} {one.pass_name}: {one.error}")
    if missing:
        print("\nNot explained: " + ", ".join(f"{name} {count}" for name, count in missing.most_common()))


SHARES = (
    ("explained_operations", "operations"),
    ("explained_elements", "elements"),
    ("agreed", "sampled"),
)


def share(found: list[Coverage], part: str, whole: str) -> str:
    """Returns a share of all, such as ``100 % of 12,345``; what falls short by little is not rounded up."""
    parts, wholes = (sum(getattr(one, name) for one in found) for name in (part, whole))
    percent = 100 * parts / wholes if wholes else 0.0
    return f"{'100' if parts == wholes else f'{min(percent, 99.999):.3f}'} % of {wholes:,}"


def write(file: Path, found: list[Coverage]) -> None:
    """Writes every single result."""
    content = {"machine": machine(), "models": [asdict(one) for one in found]}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
