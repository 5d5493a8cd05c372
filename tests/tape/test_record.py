"""Any eager module can be recorded, and what is recorded is what was."""

import gc
import math
import threading
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from dotbogi.errors import ShapeError, TapeError
from dotbogi.stages import GRADIENT, LOSS, MODEL, UPDATE
from dotbogi.tape.record import record
from dotbogi.training.step import StepRules


class Net(nn.Module):
    """A CNN with everything that overwrites: in-place ReLU, batch norm's statistics, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu_(self.norm(self.conv1(images))), 2)  # (B, 4, 4, 4)
        return self.fc(self.dropout(torch.flatten(x, 1)))  # (B, 10)


IMAGES = torch.linspace(-1, 2, 3 * 64).reshape(3, 1, 8, 8)
LABELS = torch.tensor([1, 2, 9])


def hooked(model: nn.Module, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Returns what each module returned, in a run without a tape."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str, output: torch.Tensor) -> None:
        outputs[name] = output.detach().clone()

    for name, module in model.named_modules():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
    model(*inputs)
    return outputs


def test_every_module_output_is_what_a_plain_run_with_hooks_sees() -> None:
    model = Net().eval()
    tape = record(model, IMAGES)
    for name, output in hooked(model, IMAGES).items():
        if name:
            call = next(call for call in tape.names.calls if call.name == name)
            assert torch.equal(call.outputs[0].tensor(), output), name
    assert torch.equal(tape.names.given["logits"].tensor(), model(IMAGES))


def test_a_value_is_what_it_was_before_it_was_overwritten() -> None:
    model = Net().eval()
    tape = record(model, IMAGES)
    relu = next(operation for operation in tape.operations if operation.packet == "relu_")
    before, after = relu.inputs[0].tensor(), relu.outputs[0].tensor()
    assert (before < 0).any() and torch.equal(after, before.clamp(min=0))
    assert torch.equal(before, model.norm(model.conv1(IMAGES)))


def test_a_step_knows_its_stages_modules_lines_and_forward_operations() -> None:
    tape = record(Net(), (IMAGES, LABELS), loss="cross-entropy", optimizer="sgd")
    stages = [operation.stage for operation in tape.operations]
    assert stages == sorted(stages, key=[MODEL, LOSS, GRADIENT, UPDATE].index)
    convolution = next(operation for operation in tape.operations if operation.packet == "convolution")
    assert convolution.module == "conv1" and convolution.line is not None
    assert convolution.line.file == __file__
    backward = next(operation for operation in tape.operations if operation.packet == "convolution_backward")
    assert backward.forward is convolution and backward.module == "conv1"
    pooled = next(operation for operation in tape.operations if operation.packet == "max_pool2d_with_indices_backward")
    assert pooled.forward is not None and pooled.forward.packet == "max_pool2d_with_indices"


def test_weights_are_those_of_before_the_step_and_updates_those_after() -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    tape = record(model, (IMAGES, LABELS), loss="cross-entropy", optimizer=optimizer, keep=True)
    before, after = tape.names.given["conv1.weight"].tensor(), tape.names.given["update conv1.weight"].tensor()
    gradient = tape.names.given["gradient conv1.weight"].tensor()
    assert torch.equal(after, model.conv1.weight) and not torch.equal(before, after)
    assert torch.equal(after, before.add(gradient, alpha=-0.5))
    assert torch.equal(gradient, model.conv1.weight.grad)
    assert torch.equal(tape.names.given["update norm.running_mean"].tensor(), model.norm.running_mean)
    assert not torch.equal(tape.names.given["norm.running_mean"].tensor(), model.norm.running_mean)


def test_what_happens_to_the_model_afterwards_does_not_reach_the_tape() -> None:
    model = Net().eval()
    tape = record(model, IMAGES)
    before = tape.names.given["fc.weight"].tensor()
    with torch.no_grad():
        model.fc.weight.zero_()
    assert torch.equal(tape.names.given["fc.weight"].tensor(), before) and before.any()
    images = IMAGES.clone()
    tape = record(Net(), images)
    images.zero_()
    assert torch.equal(tape.names.given["input"].tensor(), IMAGES)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.other_name = self.layer
        self.never = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        for _ in range(2 if x.sum() > 0 else 1):  # control flow that depends on the numbers
            x = self.layer(x)
        return {"first": x, "second": x.sum(1)}


def test_a_module_that_is_called_twice_or_never() -> None:
    tape = record(Twice(), torch.ones(1, 4))
    assert tape.explain("layer#0[0,1]").recorded != tape.explain("layer#1[0,1]").recorded
    assert tape.explain("other_name#1[0,1]").recorded == tape.explain("logits[0,1]").recorded
    assert tape.names.given["logits:1"].shape == (1,)
    with pytest.raises(TapeError, match=r"layer was called 2 times") as caught:
        tape.explain("layer[0,1]")
    assert "layer#0 … layer#1" in caught.value.fix
    with pytest.raises(TapeError, match=r"layer was called 2 times; there is no call 2"):
        tape.explain("layer#2[0,1]")
    with pytest.raises(TapeError, match=r"never was never called"):
        tape.explain("never[0,1]")
    once = record(Twice(), -torch.ones(1, 4))
    assert len([call for call in once.names.calls if call.name == "layer"]) == 1


def test_several_inputs_by_place_and_by_name() -> None:
    class Sum(nn.Module):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left - right

    left, right = torch.rand(2, 3), torch.rand(2, 3)
    by_place, by_name = record(Sum(), (left, right)), record(Sum(), {"right": right, "left": left})
    assert torch.equal(by_place.names.given["logits"].tensor(), left - right)
    assert torch.equal(by_name.names.given["logits"].tensor(), left - right)
    assert torch.equal(by_place.names.given["input:1"].tensor(), right)


def test_the_gradient_is_the_accumulated_one_before_clipping() -> None:
    model = Net().eval()
    rules = StepRules(accumulation=3, clip_norm=0.01)
    tape = record(model, (IMAGES, LABELS), loss="cross-entropy", optimizer="sgd", rules=rules)
    plain = record(model, (IMAGES, LABELS), loss="cross-entropy", optimizer="sgd")
    gradient = tape.names.given["gradient fc.weight"].tensor()
    assert torch.allclose(gradient, plain.names.given["gradient fc.weight"].tensor(), atol=1e-6)
    assert gradient.norm() > 0.01


def test_gradients_of_module_outputs() -> None:
    model = Net().eval()
    tape = record(model, (IMAGES, LABELS), loss="cross-entropy")
    x = model.conv1(IMAGES).detach().requires_grad_()
    logits = model.fc(torch.flatten(F.max_pool2d(F.relu(model.norm(x)), 2), 1))
    (expected,) = torch.autograd.grad(F.cross_entropy(logits, LABELS), x)
    call = next(call for call in tape.names.calls if call.name == "conv1")
    assert torch.equal(call.gradients[0].tensor(), expected)
    assert tape.explain("gradient conv1[0,1,2,3]").recorded == float(expected[0, 1, 2, 3])
    assert (
        tape.explain("conv1.weight.grad[0,0,1,1]").recorded == tape.explain("gradient conv1.weight[0,0,1,1]").recorded
    )


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_is_marked_as_run_again(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.requires_grad_() if reentrant else x
            return self.second(checkpoint(self.first, x, use_reentrant=reentrant))

    model = Checkpointed()
    tape = record(model, (torch.rand(3, 4), LABELS % 3), loss="cross-entropy")
    assert any(operation.rerun and operation.module == "first" for operation in tape.operations)
    assert [call.name for call in tape.names.calls].count("first") == 1
    assert tape.names.given["gradient first.weight"].tensor().any()


def test_parametrizations_and_autocast() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 5)), nn.ReLU(), nn.Linear(5, 3))
    rules = StepRules(autocast=torch.bfloat16)
    tape = record(model, (torch.rand(3, 6), LABELS % 3), loss="cross-entropy", optimizer="adamw", rules=rules)
    assert tape.names.given["logits"].dtype == torch.bfloat16
    assert "update 0.parametrizations.weight.original0" in tape.names.given


def test_a_write_into_a_view_changes_the_value_of_the_whole() -> None:
    class Writes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x * 1
            x[:, 0] = 5
            part = x[:, 1:]
            part.mul_(2)
            return x.flip(1)

    tape = record(Writes(), torch.tensor([[1.0, 2.0, 3.0]]))
    assert tape.names.given["logits"].tensor().tolist() == [[6, 4, 5]]
    read = next(operation for operation in tape.operations if operation.packet == "flip").inputs[0]
    owner, index = tape.source(read, (0, 1))
    assert owner.operation is not None and owner.operation.packet == "mul_" and index == (0, 0)
    assert tape.source(read, (0, 0))[0].operation.packet in ("fill_", "copy_")


def test_two_recordings_at_once_do_not_mix() -> None:
    models = [Net().eval() for _ in range(2)]
    tapes: dict[int, object] = {}
    threads = [
        threading.Thread(
            target=lambda i=i: tapes.update({i: record(models[i], (IMAGES, LABELS), loss="cross-entropy")})
        )
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [record(model, (IMAGES, LABELS), loss="cross-entropy") for model in models]
    for i in range(2):
        assert [one.name for one in tapes[i].operations] == [one.name for one in alone[i].operations]
        assert tapes[i].value("loss") == alone[i].value("loss")


def test_a_model_that_does_not_fit_says_where_and_keeps_the_tape() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(10, 2))
    with pytest.raises(ShapeError, match=r"2 expects 10 features but 144 came") as caught:
        record(model, IMAGES)
    assert "144" in caught.value.fix
    assert next(operation.packet for operation in caught.value.tape.operations) == "convolution"
    assert all(not module._forward_hooks for module in model.modules())


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("something of their own")


REFUSED = {
    "scripted": (lambda: torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), torch.ones(1, 2), "scripted module"),
    "compiled": (lambda: torch.compile(nn.Linear(2, 2)), torch.ones(1, 2), "The model is compiled"),
    "integers": (lambda: nn.Linear(2, 2), torch.ones(1, 2, dtype=torch.uint8), "The images are uint8"),
    "other type": (
        lambda: nn.Linear(2, 2),
        torch.ones(1, 2, dtype=torch.float64),
        "are float32, the images are float64",
    ),
    "other device": (
        lambda: nn.Linear(2, 2),
        torch.ones(1, 2, device="meta"),
        "The model is on cpu, the images on meta",
    ),
    "nothing": (lambda: nn.Linear(2, 2), (), "There is no tensor to give to the model"),
    "its own error": (Raises, torch.ones(1, 2), "something of their own"),
}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_recorded_is_said(case: str) -> None:
    build, images, message = REFUSED[case]
    with pytest.raises((TapeError, ShapeError), match=message):
        record(build(), images)


def test_a_sparse_tensor_is_kept_and_not_explained() -> None:
    class Sparse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.to_sparse().to_dense() * 2

    tape = record(Sparse(), torch.eye(3))
    assert torch.equal(tape.names.given["logits"].tensor(), 2 * torch.eye(3))
    value = next(value for operation in tape.operations for value in operation.outputs if value.memory is None)
    explanation = tape.explain(value, (0, 0))
    assert explanation.kind == "unexplained" and "sparse" in explanation.arithmetic.note


def test_a_tape_that_is_dropped_is_gone_at_once() -> None:
    tape = record(Net(), (IMAGES, LABELS), loss="cross-entropy", optimizer="adam")
    convolution = tape.operations[0]
    memory = weakref.ref(tape.names.given["gradient fc.weight"])
    overwritten = next(one for one in tape.operations if one.packet == "relu_").inputs[0]
    assert not overwritten.is_kept
    gc.disable()
    try:
        del tape
        assert memory() is None
    finally:
        gc.enable()
    assert convolution.outputs[0].tensor().shape == (3, 4, 8, 8)
    with pytest.raises(TapeError, match="The tape that this value was recorded on is gone"):
        overwritten.tensor()


def test_weights_are_not_copied_before_somebody_writes_into_them() -> None:
    model = Net().eval()
    tape = record(model, IMAGES)
    assert torch._C._is_cow_tensor(tape.names.given["conv1.weight"].view())
    before = tape.value("conv1.weight[3,0,1,1]")
    with torch.no_grad():
        model.conv1.weight.add_(1)
    assert (
        tape.value("conv1.weight[3,0,1,1]")
        == before
        == pytest.approx(float(model.conv1.weight[3, 0, 1, 1].detach()) - 1)
    )


def test_a_step_of_a_model_with_auxiliary_logits() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 10)
            self.aux = nn.Linear(64, 10)

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.fc(images.flatten(1)), self.aux(images.flatten(1))

    def loss(outputs: tuple[torch.Tensor, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs[0], labels) + 0.3 * F.cross_entropy(outputs[1], labels)

    tape = record(Auxiliary(), (IMAGES, LABELS), loss=loss, optimizer="sgd")
    assert tape.names.given["logits:1"].shape == (3, 10)
    assert tape.explain("update aux.weight[3,5]").agrees


def test_an_array_that_looks_at_a_weight_still_does_after_a_recording() -> None:
    model = Net().eval()
    array = model.fc.weight.detach().numpy()
    tape = record(model, IMAGES)
    before = tape.value("fc.weight[3,4]")
    with torch.no_grad():
        model.fc.weight.add_(1)
    assert array[3, 4] == float(model.fc.weight[3, 4].detach()) == pytest.approx(before + 1)
    assert tape.value("fc.weight[3,4]") == before


def test_requests_that_do_not_go_together_are_refused() -> None:
    model = Net()
    other = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    cases = [
        ({"model": lambda images: images, "data": IMAGES}, "The model is function, not a torch.nn.Module"),
        ({"data": (IMAGES, LABELS)}, "Labels came, but no loss"),
        ({"data": IMAGES, "loss": "cross-entropy"}, "With a loss the data are images and labels; Tensor came"),
        ({"loss": "mse", "optimizer": torch.optim.SGD}, "The optimizer is SGD, not an instance"),
        ({"loss": "cross-entropy", "optimizer": other}, "updates none of the model's parameters"),
        ({"loss": "mse", "optimizer": torch.optim.LBFGS(model.parameters())}, "LBFGS runs the model several times"),
        ({"data": IMAGES, "modules": ["conv"]}, "The model has no module 'conv'"),
        ({"loss": "cross-entropy", "rules": StepRules(accumulation=4)}, "3 images cannot be accumulated in 4 parts"),
        ({"loss": "cross-entropy", "data": (IMAGES, LABELS + 5)}, "failed outside of the model's forward pass"),
    ]
    for arguments, message in cases:
        given = {"model": model, "data": (IMAGES, LABELS)} | arguments
        with pytest.raises(TapeError, match=message):
            record(given.pop("model"), given.pop("data"), **given)


def test_nan_and_infinity_agree_where_both_are_the_same() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = float("nan")
        model[0].weight[1].fill_(1e38)
    tape = record(model, IMAGES.abs() * 100)
    broken, overflowing, whole = (tape.explain(f"0[0,{channel},2,2]") for channel in range(3))
    assert broken.agrees and "both are nan" in str(broken) and broken.tolerance == 0
    assert overflowing.agrees and overflowing.overflows and "cannot hold so large a number" in str(overflowing)
    assert whole.agrees and whole.is_finite
    assert math.isnan(broken.evaluate([term.value for term in broken.terms]))


def test_addresses_that_mean_no_number_say_why() -> None:
    tape = record(Net().eval(), IMAGES)
    step = record(Net(), (IMAGES, LABELS), loss="cross-entropy")
    empty = record(nn.Linear(4, 2), torch.zeros(0, 4))
    cases = [
        (tape, "loss", "This tape has no loss"),
        (tape, "pixel[0,0,0,0]", "This tape has no pixel"),
        (tape, "gradient input[0,0,0,0]", "input has no gradient in this recording"),
        (step, "loss[0]", "this is one number, without an index"),
        (tape, "conv1[0,3]", "has 2 indices, the tensor 4 axes"),
        (tape, "conv1[0,3,8,0]", r"is outside: the tensor has the shape \(3, 4, 8, 8\)"),
        (empty, "logits[0,0]", r"is empty: its shape is \(0, 2\)"),
    ]
    for one, address, message in cases:
        with pytest.raises(TapeError, match=message):
            one.explain(address)
    with pytest.raises(IndexError, match="there is no term 99 among"):
        tape.explain("logits[0,1]").terms[99]


def test_numbers_below_the_smallest_normal_one_may_be_flushed_to_zero() -> None:
    class Tiny(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.T

    explanation = record(Tiny(), torch.full((2, 3), 3e-23)).explain("logits[0,1]")
    assert explanation.result == pytest.approx(2.7e-45, rel=1e-3) and explanation.agrees
    assert explanation.tolerance < 1e-43
