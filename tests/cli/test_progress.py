import io

import pytest

from dotbogi.cli.formatter import displayed_width
from dotbogi.cli.progress import Pace, Progress
from dotbogi.language import set_language
from dotbogi.training.events import EpochDone, Notice, RunStarted, StepDone, Working

FACTS = {
    "model": "small-cnn",
    "parameters": 298090,
    "data": "fashion-mnist",
    "training_images": 54000,
    "validation_images": 6000,
    "test_images": 10000,
    "device": "cpu",
    "precision": "bf16",
    "memory_format": "channels-last",
    "optimizer": "nag",
    "lr": 0.15,
    "batch_size": 128,
    "epochs": 18,
}
ROW = {
    "training_loss": 0.5055,
    "training_accuracy": 0.81,
    "validation_loss": 0.4123,
    "validation_accuracy": 0.852,
    "images_per_second": 98123.4,
}


class Clock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def step(number: int, steps: int = 1000, loss: float = 0.5) -> StepDone:
    return StepDone(number, steps, 0, 128, loss, 0.1)


def told(events: list, stream: io.StringIO | None = None, clock: Clock | None = None, seconds: float = 0.0) -> str:
    stream, clock = stream or io.StringIO(), clock or Clock()
    with Progress(stream, clock=clock) as progress:
        for event in events:
            progress(event)
            clock.now += seconds
    return stream.getvalue()


def test_the_start_says_what_is_trained_on_what() -> None:
    assert told([RunStarted("20261124-simple", "runs/x", FACTS)]).splitlines() == [
        "Run 20261124-simple: small-cnn, 298,090 parameters",
        "  data fashion-mnist: 54,000 images to train, 6,000 to validate, 10,000 to test",
        "  nag, learning rate 0.15, batches of 128",
        "  cpu · bf16 · channels-last",
    ]


def test_splits_that_do_not_exist_are_not_told() -> None:
    text = told([RunStarted("r", "runs/r", FACTS | {"validation_images": 0})])
    assert "  data fashion-mnist: 54,000 images to train, 10,000 to test\n" in text


def test_a_resumed_run_says_where_it_goes_on() -> None:
    assert "goes on after step 1,200" in told([RunStarted("r", "runs/r", FACTS, step=1200)])


def test_a_run_without_facts_says_nothing() -> None:
    assert told([RunStarted("r", "runs/r", {}, step=3)]) == ""


def test_a_finished_epoch_is_one_line() -> None:
    assert told([EpochDone(1, 18, 846, ROW)]) == (
        "Epoch  2/18  loss 0.5055  accuracy 81.0 %  validation 85.2 %  98,123 images/s\n"
    )


def test_a_regression_has_no_accuracy() -> None:
    assert told([EpochDone(0, 5, 4, {"training_loss": 1e-5, "validation_loss": 0.25})]) == (
        "Epoch 1/5  loss 1e-05  validation loss 0.2500\n"
    )


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_line_fits_the_screen(language) -> None:
    set_language(language)
    text = told([RunStarted("20261124-231500-small-cnn", "runs/x", FACTS), EpochDone(98, 100, 1, ROW)])
    assert all(displayed_width(line) <= 80 for line in text.splitlines()), text


def test_many_quick_epochs_are_not_a_line_each_but_the_last_is() -> None:
    clock, stream = Clock(), io.StringIO()
    told([EpochDone(epoch, 1000, epoch, ROW) for epoch in range(1000)], stream, clock, seconds=0.001)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("Epoch    1/1000") and lines[-1].startswith("Epoch 1000/1000")


def test_slow_epochs_are_a_line_each() -> None:
    events = [EpochDone(epoch, 100, epoch, ROW) for epoch in range(100)]
    assert len(told(events, seconds=6).splitlines()) == 100


def test_a_pipe_gets_a_line_every_few_seconds_within_an_epoch() -> None:
    events = [RunStarted("r", "runs/r", FACTS), *(step(number + 1) for number in range(1000))]
    lines = told(events, seconds=0.012).splitlines()[4:]
    assert len(lines) == 2  # of 12 seconds
    assert lines[0].startswith("Epoch 1/18   41 %  loss 0.5000  10,") and lines[0].endswith(" left")


def test_a_terminal_gets_a_bar_in_its_width(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    events = [EpochDone(0, 18, 422, ROW), *(step(number + 1) for number in range(100))]
    text = told(events, stream, seconds=0.01)
    assert "━" in text
    assert "loss 0.5000" in text and "accuracy 85.2 %" in text and "left" in text


def test_a_terminal_is_drawn_a_few_times_a_second(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream, clock = Terminal(), Clock()
    drawn = []
    with Progress(stream, clock=clock) as progress:
        for number in range(10_000):
            before = stream.tell()
            progress(step(number + 1, 10_000))
            drawn.append(stream.tell() > before)
            clock.now += 0.0001
    assert 1 <= sum(drawn) <= 4  # of one second


def test_a_notice_is_told_as_it_is() -> None:
    assert told([Notice("3 files were left out: [a]")]) == "3 files were left out: [a]\n"


def test_work_is_told_when_it_takes_seconds() -> None:
    events = [Working("Decoding", done, 1000) for done in range(1000)]
    assert told(events, seconds=0.004) == ""
    lines = told(events, seconds=0.012).splitlines()
    assert len(lines) == 2  # of 12 seconds
    assert lines[0].startswith("Decoding   41 %  41") and lines[0].endswith("/1,000")


def test_work_of_unknown_length_is_counted() -> None:
    assert told([Working("Downloading", done) for done in range(1000, 1008)], seconds=1.0).splitlines() == [
        "Downloading  1,005"
    ]


def test_work_is_drawn_at_once_on_a_terminal(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    text = told([Working("Decoding", 0, 10), Working("Decoding", 10, 10)], Terminal())
    assert "Decoding" in text and "0/10" in text and "10/10" in text


def test_without_a_bar_a_terminal_gets_plain_lines() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(stream, bar=False, clock=clock) as progress:
        progress(Notice("a notice"))
        clock.now += 6
        progress(step(10))
    assert stream.getvalue().startswith("a notice\nEpoch 1/0    1 %  loss 0.5000")


def test_the_pace_is_of_the_steps_since_the_last_look() -> None:
    clock = Clock()
    pace = Pace(clock)
    for number in range(10):
        pace.add(step(number + 1, loss=float(number)))
    clock.now += 2
    pace.measure()
    assert pace.loss == pytest.approx(4.5)
    assert pace.images_per_second == pytest.approx(640)
    assert pace.seconds_left(100) == pytest.approx(20)
    pace.add(step(11, loss=1.0))
    clock.now += 0.1  # twice as fast: a new rate weighs .3
    pace.measure()
    assert pace.loss == 1.0
    assert pace.images_per_second == pytest.approx(0.7 * 640 + 0.3 * 1280)
