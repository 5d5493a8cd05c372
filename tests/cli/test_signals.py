import os
import signal
import subprocess
import sys

import pytest

from dotbogi.cli.signals import Interrupted, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_nothing_to_save_a_signal_ends_at_once(number) -> None:
    with pytest.raises(Interrupted) as caught, StopRequest():
        signal.raise_signal(number)
    assert caught.value.exit_code == 128 + number


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")])
def test_a_training_is_asked_to_stop(number, name, capfd) -> None:
    with StopRequest() as stop:
        stop.saves = True
        assert stop() is None
        signal.raise_signal(number)
        assert stop() == name
    assert "Stopping: saving first …" in capfd.readouterr().err


def test_a_second_signal_only_says_that_saving_goes_on(capfd) -> None:
    with StopRequest() as stop:
        stop.saves = True
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop() == "SIGINT"
    assert "Still saving" in capfd.readouterr().err


def test_a_third_signal_ends_at_once() -> None:
    with pytest.raises(Interrupted), StopRequest() as stop:
        stop.saves = True
        for _time in range(3):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process on SIGTERM without asking it")
def test_the_program_ends_with_143_after_sigterm() -> None:
    code = """
import os, signal
import dotbogi.cli.entries as entries
from dotbogi.cli.main import main
import sys
entries.entries_table = lambda *a: os.kill(os.getpid(), signal.SIGTERM)
sys.argv = ["dotbogi", "list", "losses", "--lang", "en"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 143
    assert "Stopped." in done.stderr
