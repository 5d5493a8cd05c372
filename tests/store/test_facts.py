import subprocess
import sys
from pathlib import Path

import pytest

from dotbogi.store import facts
from dotbogi.store.facts import system_facts


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True).stdout.decode()


def test_versions_and_hardware():
    found = system_facts()
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["versions"]["torch"].startswith("2.")
    assert found["versions"]["dotbogi"]
    hardware = found["hardware"]
    assert hardware["cpu"]
    assert 1 <= hardware["usable_cores"] <= hardware["cores"]
    assert hardware["gpus"] == [] or all(hardware["gpus"])


def test_gpus_are_named_by_their_driver(tmp_path, monkeypatch):
    for bus, text in (("0000:01:00.0", "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 17\n"), ("0000:02:00.0", "IRQ: 18\n")):
        (tmp_path / bus.replace(":", "-")).mkdir()
        (tmp_path / bus.replace(":", "-") / "information").write_text(text, encoding="utf-8")
    monkeypatch.setattr(facts, "NVIDIA_FOLDER", tmp_path)
    assert system_facts()["hardware"]["gpus"] == ["NVIDIA H100 80GB HBM3", "NVIDIA"]


@pytest.mark.skipif(sys.platform != "linux", reason="compared with Linux's own count")
def test_memory_is_that_of_the_system():
    kilobytes = Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]
    assert system_facts()["hardware"]["memory_bytes"] == int(kilobytes) * 1024


def test_git_commit_and_whether_tracked_files_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("a", encoding="utf-8")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "untracked").write_text("a", encoding="utf-8")
    assert system_facts()["git"] == {"commit": commit, "dirty": False}
    (tmp_path / "file").write_text("b", encoding="utf-8")
    assert system_facts()["git"] == {"commit": commit, "dirty": True}


def test_without_a_repository_a_commit_or_git_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert system_facts()["git"] is None
    git(tmp_path, "init", "-q")
    assert system_facts()["git"] is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system_facts()["git"] is None


def test_a_git_that_takes_too_long_is_left(monkeypatch):
    monkeypatch.setattr(facts, "GIT_TIMEOUT_S", 0.01)
    assert facts._output(sys.executable, "-c", "input() or __import__('threading').Event().wait(60)") is None
    assert facts._output(sys.executable, "-c", "__import__('threading').Event().wait(60)") is None


def test_packages_that_are_not_installed():
    assert facts._version("no-such-package-at-all") is None


def test_listing_runs_and_facts_import_no_torch(tmp_path):
    code = (
        "import sys; from pathlib import Path; from dotbogi.store.facts import system_facts;"
        "from dotbogi.store.runs_folder import RunsFolder; system_facts();"
        f"assert RunsFolder(Path({str(tmp_path)!r})).runs() == [];"
        "print(sorted(name for name in ('torch', 'numpy', 'timm') if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
