from dotbogi.figures.schedule import schedule_figure


def test_schedules_of_any_length_lie_over_each_other() -> None:
    figure = schedule_figure({"constant": [1.0] * 10, "<b>mine</b>": [1.0, 0.5, 0.25, 0.125]})
    constant, mine = figure.data
    assert constant.x[0] == mine.x[0] == 0
    assert mine.x == (0, 0.25, 0.5, 0.75)
    assert mine.y == (1.0, 0.5, 0.25, 0.125)
    assert constant.line.dash != mine.line.dash
    assert mine.name == "&lt;b&gt;mine&lt;/b&gt;"
