import time

from dotbogi.training.loop import Pace


def test_the_first_steps_do_not_count_where_there_are_others() -> None:
    pace = Pace()
    for _ in range(3):
        pace.add(10)
    time.sleep(0.01)  # what was slow before does not matter
    assert pace.set_up is not None and pace.set_up[0] == 30
    pace.add(10)
    assert pace.images_per_second < 10 / 0.01


def test_an_epoch_of_few_steps_has_a_speed_too() -> None:
    for steps in (1, 2, 3):
        pace = Pace()
        for _ in range(steps):
            pace.add(10)
        assert pace.images_per_second > 0
