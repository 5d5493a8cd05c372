"""What the documents say is so: their commands, code, recipes and links."""

import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import dotbogi
from dotbogi.cli.main import program
from dotbogi.recipe import Recipe
from dotbogi.registry import LOSSES, MODELS, OPTIMIZERS, SCHEDULES, SOURCES, Registry

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.ko.md"]
DOCUMENTS = [
    *READMES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """Returns the code blocks of a language, such as ``bash``."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(document), flags=re.MULTILINE | re.DOTALL)


def without_code(document: str) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(document), flags=re.MULTILINE | re.DOTALL)


# The two commands


@pytest.mark.parametrize("readme", READMES)
def test_two_commands_do_all_the_set_up(readme: str) -> None:
    commands = ["pip install -q uv && uv run dotbogi train", "pip install -q uv && uv run pytest"]
    assert [block.strip() for block in blocks(readme, "bash") if "pip install -q uv" in block] == commands


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_ci_runs_the_commands_of_the_readme() -> None:
    script = text_of(".ci/run")
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    extraction = "\n".join(line for line in script.splitlines() if re.match(r"(commands|train|test)=", line))
    done = subprocess.run(
        ["bash", "-euc", f'{extraction}\necho "$train"; echo "$test"'],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    expected = [block.strip() for block in blocks("README.md", "bash") if "pip install -q uv" in block]
    assert done.stdout.splitlines() == expected
    for check in ("uv run ruff check .", "uv run ruff format --check .", "uv run pyright", "uv run lint-imports"):
        assert f"\n{check}" in script


# Words that can be typed


def command_lines() -> list[tuple[str, str]]:
    lines = {
        (document, line.split(" #")[0].strip())
        for document in DOCUMENTS
        for block in blocks(document, "bash")
        for line in block.splitlines()
        if line.startswith("dotbogi ")
    }
    return sorted(lines)


@pytest.mark.parametrize(("document", "line"), command_lines())
def test_a_command_line_is_understood(document: str, line: str) -> None:
    name, *words = shlex.split(line.partition(">")[0])[1:]
    command = program.get_command(click.Context(program), name)
    assert command is not None
    command.make_context(name, words, obj=None)


@pytest.mark.parametrize("document", READMES)
def test_words_in_the_text_are_commands_and_options(document: str) -> None:
    text = without_code(document)
    commands = {name: program.get_command(click.Context(program), name) for name in program.list_commands(None)}
    options = {flag for command in commands.values() for parameter in command.params for flag in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= options
    assert set(re.findall(r"`dotbogi ([a-z]+)", text)) <= set(commands)


@pytest.mark.parametrize("document", READMES)
@pytest.mark.parametrize(
    ("option", "registry"),
    [("model", MODELS), ("data", SOURCES), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("loss", LOSSES)],
)
def test_what_a_readme_names_can_be_chosen(document: str, option: str, registry: Registry) -> None:
    (row,) = re.findall(rf"^\| `--{option}` \| (.*)", text_of(document), flags=re.MULTILINE)
    named = {name for name in re.findall(r"`([a-z0-9-]+)`", row) if not name.startswith("--")}
    assert named and named <= set(registry.names())


@pytest.mark.parametrize("document", READMES)
def test_the_recipes_of_a_readme_are_recipes(document: str) -> None:
    (recipe,) = blocks(document, "toml")
    assert Recipe.from_toml(recipe).complete().optimizer.hyperparameters["beta1"] == 0.9


@pytest.mark.parametrize("document", READMES)
def test_the_python_of_a_readme_trains(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dotbogi_photo: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(dotbogi_photo, tmp_path / "photo.jpg")
    code = "\n".join(blocks(document, "python")).replace(
        'optimizer={"name"', 'training={"steps": 2}, optimizer={"name"'
    )
    names: dict[str, object] = {}
    exec(compile(code, document, "exec"), names)
    assert names["run"].metrics.keys() >= {"accuracy", "loss"}
    assert [run.name for run in (tmp_path / "runs").iterdir() if run.is_dir()]


@pytest.fixture
def dotbogi_photo() -> Path:
    return Path(dotbogi.__file__).parent / "data" / "bundled" / "chelsea.jpg"


# Links and wording


def links(document: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_code(document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    headings = re.findall(r"^#+ (.*)$", without_code(document), flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for link in links(document):
        path, _hash, anchor = link.partition("#")
        if link.startswith("https://"):
            continue
        assert not path or (ROOT / document).parent.joinpath(path).exists(), link
        assert not anchor or path or anchor in anchors, link


@pytest.mark.parametrize(
    "pair",
    [
        ("README.md", "README.ko.md"),
        ("docs/recipe.md", "docs/recipe.ko.md"),
        ("docs/addresses.md", "docs/addresses.ko.md"),
    ],
)
def test_both_languages_say_the_same(pair: tuple[str, str]) -> None:
    english, korean = (without_code(document) for document in pair)
    for pattern in (r"^(#+) ", r"^(- )", r"^\|(-\|)+$"):
        assert len(re.findall(pattern, english, flags=re.M)) == len(re.findall(pattern, korean, flags=re.M)), pattern
    english_rows, korean_rows = (re.findall(r"^\| (\S+)", text, flags=re.MULTILINE) for text in (english, korean))
    assert len(english_rows) == len(korean_rows)
    for language in ("bash", "toml", "json", "python", "text"):
        assert len(blocks(pair[0], language)) == len(blocks(pair[1], language)), language
    assert blocks(pair[0], "bash") == blocks(pair[1], "bash")
    assert blocks(pair[0], "toml") == blocks(pair[1], "toml")
    assert code_of(english) == code_of(korean)


def code_of(text: str) -> set[str]:
    """Returns what stands in backticks, commands and names, which no language changes."""
    return set(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ".ci/run", *(f"examples/{p.name}" for p in (ROOT / "examples").iterdir())]
)
def test_a_document_is_finished(document: str) -> None:
    if (ROOT / document).is_dir():
        return
    text = text_of(document)
    assert not re.search(r"\b(TODO|FIXME|XXX|TBD|lorem ipsum)\b", text, flags=re.IGNORECASE)
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert not any(line != line.rstrip() for line in text.splitlines())
    assert not re.search(r"/(tmp|root|home)/", text)


def test_the_changelog_names_this_version() -> None:
    assert f"## [{dotbogi.__version__}]" in text_of("CHANGELOG.md")


# Every key of a recipe


@pytest.fixture(scope="module")
def recipe_page() -> ModuleType:
    specification = importlib.util.spec_from_file_location("recipe_page", ROOT / "tools" / "recipe_page.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_recipes_page_is_up_to_date(recipe_page: ModuleType, language: str) -> None:
    """If this fails: python tools/recipe_page.py, with the Korean of new keys in tools/recipe_page_ko.toml."""
    assert recipe_page.page(language) == recipe_page.PAGES[language].read_text(encoding="utf-8")


def test_the_recipes_page_has_every_key(recipe_page: ModuleType) -> None:
    text = text_of("docs/recipe.md")
    for prefix, table in Recipe().complete().model_dump().items():
        keys = table if isinstance(table, dict) else {}
        section = text.partition(f"## `[{prefix}]`")[2]
        for key, value in keys.items():
            assert f"`[{prefix}.{key}]`" in text if isinstance(value, dict) else f"`{key}`" in section, (prefix, key)


def test_no_korean_of_the_recipes_page_is_left_over(recipe_page: ModuleType) -> None:
    page = recipe_page.page("ko")
    korean = tomllib.loads(recipe_page.KOREAN.read_text(encoding="utf-8"))
    assert [english for english, text in korean.items() if "{" not in text and text not in page] == []


# Adding a thing that can be chosen by name


def added_files() -> dict[str, str]:
    """Returns the example files of CONTRIBUTING.md by their paths."""
    found = re.findall(
        r"^`(src/\S+\.py)`:\n\n```python\n(.*?)^```$", text_of("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL
    )
    return dict(found)


KINDS = {
    "optim/optimizers": (OPTIMIZERS, "optimizer"),
    "optim/schedules": (SCHEDULES, "schedule"),
    "models/architectures": (MODELS, "model"),
    "data/sources": (SOURCES, "data"),
    "training/losses": (LOSSES, "loss"),
}


@pytest.fixture
def added(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Puts the examples where the registries look, and takes them away again; the ids by the recipe's tables."""
    ids = {}
    packages = []
    for name, text in added_files().items():
        path = Path(name)
        room = path.parent.relative_to("src/dotbogi").as_posix()
        folder = tmp_path / room
        folder.mkdir(parents=True)
        (folder / path.name).write_text(text, encoding="utf-8")
        registry, table = KINDS[room]
        package = importlib.import_module(registry.package)
        package.__path__.append(str(folder))
        packages.append((package, folder, registry, path.stem))
        ids[table] = path.stem.replace("_", "-")
    importlib.invalidate_caches()
    yield ids
    for package, folder, registry, stem in packages:
        package.__path__.remove(str(folder))
        sys.modules.pop(f"{registry.package}.{stem}", None)
        registry._loaded.pop(stem.replace("_", "-"), None)


def test_there_is_an_example_of_each_kind() -> None:
    assert {Path(name).parent.relative_to("src/dotbogi").as_posix() for name in added_files()} == set(KINDS)


@pytest.mark.parametrize("table", ["optimizer", "schedule", "model", "data", "loss"])
def test_an_added_file_trains(table: str, added: dict[str, str], tmp_path: Path) -> None:
    short = {"steps": 3, "batch_size": 32, "deterministic": True, "threads": 1}
    training = {"training": short | ({"loss": added["loss"]} if table == "loss" else {})}
    chosen = {} if table == "loss" else {table: added[table]}
    run = dotbogi.train(Recipe(**({"model": "simple-cnn"} | chosen | training)), runs_dir=tmp_path / "runs")
    assert run.status == "finished" and 0 <= run.metrics["accuracy"] <= 1
    text = run.recipe.to_toml()
    assert f'"{added[table]}"' in text


def test_added_files_are_in_style(tmp_path: Path) -> None:
    for name, text in added_files().items():
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *settings, str(tmp_path)], capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout
