"""A person's own file builds a model, or says what is wrong in it with its line."""

import hashlib
import socket
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from dotbogi import recipe as recipes
from dotbogi.errors import ModelError, ShapeError
from dotbogi.models.build import build_model, check_model, find_model
from dotbogi.models.own import is_own_model, read_own_model, reopen_own_model

HEAD = """\
import torch
from torch import nn

"""


@pytest.fixture
def write(tmp_path: Path):
    def write(body: str, name: str = "model.py") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + dedent(body), encoding="utf-8")
        return path

    return write


def build(path: Path, factory: str = "Net", seed: int = 0, pixels: int = 8):
    recipe = recipes.Model(name=f"{path}:{factory}")
    return build_model(recipe, num_classes=5, in_channels=3, image_size=(pixels, pixels), seed=seed)


FACTORIES = {
    "no argument": "def Net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5))",
    "some": "def Net(num_classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))",
    "all": (
        "def Net(in_channels, image_size, *, num_classes):\n"
        "    height, width = image_size\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * height * width, num_classes))"
    ),
    "defaults": "def Net(num_classes=10, w=4):\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))",
    "a class": (
        "class Net(nn.Sequential):\n"
        "    def __init__(self, num_classes):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(192, num_classes))"
    ),
    "variadic": "def Net(*args, **keywords):\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5))",
    "lazy": "def Net(num_classes):\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))",
}


@pytest.mark.parametrize("body", FACTORIES.values(), ids=FACTORIES)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_every_kind_of_factory(write, body: str) -> None:
    path = write(body)
    first, second = build(path, seed=3), build(path, seed=3)
    check_model(first, torch.rand(2, 3, 8, 8), 5)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_text_and_hash_are_kept(write) -> None:
    path = write(FACTORIES["some"])
    own = find_model(f"{path}:Net").own
    assert own is not None
    assert (own.path, own.factory_name) == (str(path), "Net")
    assert own.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "nn.Flatten()" in own.to_dict()["text"]


def test_finding_executes_nothing(write) -> None:
    path = write("raise SystemExit('executed')")
    assert find_model(f"{path}:Net").own is not None
    with pytest.raises(ModelError, match=r"model\.py, line 4: SystemExit: executed"):
        build(path)


def test_a_path_with_a_drive_is_understood() -> None:
    assert is_own_model(r"C:\models\net.py:Net")
    assert is_own_model("net.py") and is_own_model("folder/net.py:Net")
    assert not is_own_model("timm/resnet18") and not is_own_model("simple-cnn")
    with pytest.raises(ModelError, match=r"The model's file .*net\.py cannot be read"):
        read_own_model(r"C:\models\net.py:Net")


def test_files_beside_it_are_imported_and_forgotten(write, tmp_path: Path) -> None:
    write("def head(n):\n    return nn.Linear(192, n)", "blocks_of_mine.py")
    path = write("import blocks_of_mine\ndef Net():\n    return nn.Sequential(nn.Flatten(), blocks_of_mine.head(5))")
    assert build(path)[1].out_features == 5
    assert "blocks_of_mine" not in sys.modules and str(tmp_path) not in sys.path
    # So another folder's blocks, and a changed one, are taken as they are.
    write("def head(n):\n    return nn.Linear(192, n + 1)", "blocks_of_mine.py")
    assert build(path)[1].out_features == 6


def test_a_changed_file_is_read_anew_and_leaves_no_bytecode(write, tmp_path: Path) -> None:
    path = write("def Net():\n    return nn.Linear(1, 5)")
    assert build(path).out_features == 5
    write("def Net():\n    return nn.Linear(1, 6)")  # same size, same second
    assert build(path).out_features == 6
    assert not (tmp_path / "__pycache__").exists()


def test_dataclasses_in_the_file_work(write) -> None:
    path = write(
        """
        from dataclasses import dataclass

        @dataclass
        class Width:
            hidden: int = 5

        def Net():
            return nn.Sequential(nn.Flatten(), nn.Linear(192, Width().hidden))
        """
    )
    assert build(path)[1].out_features == 5


MISTAKES = {
    "does not parse": ("def Net(:", r"model\.py, line 4: .*SyntaxError: invalid syntax"),
    "does not import": (
        "import no_such_package_here",
        r"model\.py, line 4: ModuleNotFoundError: .*no_such_package_here",
    ),
    "raises in a library": ("x = torch.ones(2) @ torch.ones(3)\n", r"model\.py, line 4: RuntimeError: "),
    "no such factory": ("def Nett():\n    pass", r"model\.py has no function or class Net\.\nDid you mean Nett\?"),
    "factory is a number": ("Net = 3", r"has no function or class Net"),
    "factory raises": (
        "def Net():\n    raise ValueError('no such width')",
        r"model\.py, line 5: ValueError: no such w",
    ),
    "no module": ("def Net():\n    return 3", r"model\.py:Net returned int, not a torch\.nn\.Module"),
    "a class of modules": ("def Net():\n    return nn.Linear", r"Net returned type, not a torch\.nn\.Module"),
    "other arguments": (
        "def Net(width, num_classes, depth):\n    pass",
        r"Net needs arguments that are not known here: width, depth\.\nIt may ask for num_classes, in_channels, image",
    ),
    "positional only": ("def Net(num_classes, /):\n    pass", r"not known here: num_classes\."),
}


@pytest.mark.parametrize(("body", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_said_with_file_and_line(write, body: str, message: str) -> None:
    path = write(body)
    with pytest.raises(ModelError, match=message) as caught:
        build(path)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert caught.value.exit_code == 2


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"file .*absent\.py cannot be read: No such file or directory\.\nSay where"):
        build(tmp_path / "absent.py")


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match=r"model\.py is no Python text"):
        build(tmp_path / "model.py")


def test_no_factory_named(write) -> None:
    path = write("def Net(): pass")
    for name in (str(path), f"{path}:"):
        with pytest.raises(ModelError, match=r"names a file, but nothing in it\.\nAdd the function or class"):
            find_model(name)


DOWNLOAD = """
from urllib.request import urlopen

def Net():
    urlopen("https://weights.invalid/net.bin")
"""


def unknown_host(*_arguments: object) -> None:
    raise socket.gaierror(-2, "Name or service not known")


def test_a_download_while_offline(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    path = write(DOWNLOAD)
    with pytest.raises(ModelError, match=r"model\.py, line 8: the model wants a download, and there is no connection"):
        build(path)


def test_a_download_in_forward_while_offline(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    path = write(
        """
        class Net(nn.Module):
            def forward(self, x):
                import socket
                try:
                    socket.create_connection(("weights.invalid", 443))
                except OSError as error:
                    raise RuntimeError("no weights") from error
        """
    )
    with pytest.raises(ModelError, match=r"model\.py, line 11: the model wants a download"):
        check_model(build(path), torch.rand(2, 3, 8, 8), 5)


def test_forward_raises(write) -> None:
    path = write(
        """
        class Net(nn.Module):
            def forward(self, x):
                return {}["no such key"]
        """
    )
    with pytest.raises(
        ModelError, match=r"model\.py, line 7, in Net, which got \(2, 3, 8, 8\): KeyError: 'no such key'"
    ):
        check_model(build(path), torch.rand(2, 3, 8, 8), 5)


def test_the_wrong_number_of_classes(write) -> None:
    path = write("def Net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))")
    with pytest.raises(ShapeError, match="gives 10 values per image, but the data has 5 classes"):
        check_model(build(path), torch.rand(2, 3, 8, 8), 5)


def test_reopening_an_unchanged_file(write) -> None:
    own = read_own_model(f"{write(FACTORIES['some'])}:Net")
    assert reopen_own_model(own) == own


def test_reopening_a_changed_file(write) -> None:
    own = read_own_model(f"{write(FACTORIES['some'])}:Net")
    write(FACTORIES["all"])
    with pytest.raises(ModelError, match=r"model\.py has changed since the run\.\nBring the old text back .*--model"):
        reopen_own_model(own)


def test_reopening_a_file_that_is_gone(write) -> None:
    path = write(FACTORIES["some"])
    own = read_own_model(f"{path}:Net")
    path.unlink()
    with pytest.raises(ModelError, match=r"cannot be read: No such file.*\nSay where it is with --model"):
        reopen_own_model(own)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_factory_of_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "def scripted(): return torch.jit.script(nn.Flatten())\n"
        "def meta(): return nn.Linear(4, 2, device='meta')\n",
        encoding="utf-8",
    )
    for factory, message in (("scripted", "scripted or compiled module"), ("meta", "on the device meta")):
        recipe = recipes.Model(name=f"{file}:{factory}")
        with pytest.raises(ModelError, match=message):
            build_model(recipe, num_classes=2, in_channels=1, image_size=(8, 8), seed=0)


def test_a_model_that_was_built_already_is_no_factory(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\nnet = nn.Flatten()\n", encoding="utf-8")
    with pytest.raises(ModelError, match="is a model that has been built already") as caught:
        build_model(recipes.Model(name=f"{file}:net"), num_classes=2, in_channels=1, image_size=(8, 8), seed=0)
    assert "Name the class" in caught.value.fix
