"""What a run's page shows, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dotbogi.errors import DotbogiError
from dotbogi.figures.confusion import confusion_figure, largest_confusions
from dotbogi.figures.curves import epoch_curves, learning_rates, step_losses
from dotbogi.figures.images import data_uri
from dotbogi.figures.page import Code, Columns, Drawings, Numbers, Pairs, Part, Picture, Pictures, Section, Table, Text
from dotbogi.language import _
from dotbogi.language.wording import count, duration, metric_title, metric_value, number, percent, rate
from dotbogi.runs.report_facts import Facts, Git, column, number_of
from dotbogi.runs.report_mistakes import how_surely, mistaken_images, taken_for
from dotbogi.runs.run import Run

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

CLASSES_IN_TABLE = 50  # of more classes the weakest are shown


def sections_of(run: Run, facts: Facts, damaged: list[str]) -> list[Section]:
    """Returns what there is to show of a run.

    Args:
        run: in any state; what it does not have yet is left out.
        facts: checked.
        damaged: names of the facts that are damaged.
    """
    sections = [
        _reached(run, facts, damaged),
        _course(run),
        _confused(facts),
        _mistaken(run, facts),
        _recipe(run),
        _system(run, facts),
    ]
    return [section for section in sections if section.parts]


def _reached(run: Run, facts: Facts, damaged: list[str]) -> Section:
    numbers = {name: number_of(value) for name, value in run.metrics.items()}
    metrics = {name: value for name, value in numbers.items() if value is not None}
    parts: list[Part] = []
    if damaged:
        names = ", ".join(damaged)
        parts.append(Text(_("Damaged in the run's folder, and left out: {names}").format(names=names), warning=True))
    if metrics:
        parts += [Text(_evaluated_on(facts)), Numbers(_shown_metrics(metrics))]
    else:
        parts.append(Text(_("This run has not been evaluated: it has not come to its end."), warning=True))
    return Section("", [*parts, Pairs(_glance(run, facts))])


def _shown_metrics(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    first = [name for name in ("accuracy", "loss") if name in metrics]
    names = [*first, *(name for name in metrics if name not in first)]
    return [(metric_title(name), metric_value(name, metrics[name])) for name in names]


def _evaluated_on(facts: Facts) -> str:
    sentences = {
        "test": _("Measured on {images} test images that were not trained on:"),
        "validation": _("Measured on {images} validation images that were not trained on:"),
        "training": _("Measured on the {images} training images themselves, for there are no others:"),
    }
    images = {"test": facts.test_images, "validation": facts.validation_images, "training": facts.training_images}
    sentence = sentences.get(facts.evaluated_on, sentences["test"])
    return sentence.format(images=count(images.get(facts.evaluated_on, facts.test_images)))


def _glance(run: Run, facts: Facts) -> list[tuple[str, str]]:
    recipe, history = run.recipe, run.history()
    pairs = [
        (
            _("model"),
            _("{model}, {parameters} parameters").format(
                model=facts.model or recipe.model.name, parameters=count(facts.parameters)
            ),
        ),
        (_("data"), facts.data or recipe.data.source),
        (
            _("images: training / validation / test"),
            " / ".join(map(count, (facts.training_images, facts.validation_images, facts.test_images))),
        ),
        (
            _("optimizer"),
            _("{optimizer}, learning rate {lr}").format(
                optimizer=recipe.optimizer.name, lr=f"{recipe.optimizer.hyperparameters.get('lr', '–')}"
            ),
        ),
        (_("schedule"), recipe.schedule.name),
    ]
    if history:
        seconds = sum(value for value in column(history, "elapsed_s") if value is not None)
        pairs.append((_("epochs"), count(len(history))))
        pairs.append((_("time of training"), duration(seconds)))
        speed = column(history, "images_per_second")[-1]
        pairs += [(_("speed in the last epoch"), rate(speed))] if speed is not None else []
    return pairs


def _course(run: Run) -> Section:
    drawings = [Drawings(list(figures.values())) for figures in (epoch_figures(run), step_figures(run)) if figures]
    return Section(_("The course of the training"), drawings)


def epoch_figures(run: Run) -> dict[str, Figure]:
    rows = run.history()
    figures: dict[str, Figure] = {}
    for name, title, fractions in (("loss", _("Loss"), False), ("accuracy", _("Accuracy"), True)):
        training, validation = column(rows, f"training_{name}"), column(rows, f"validation_{name}")
        if any(value is not None for value in (*training, *validation)):
            figures[name] = epoch_curves(title, training, validation, fractions=fractions)
    return figures


def step_figures(run: Run) -> dict[str, Figure]:
    rows = run.steps()
    if not rows:
        return {}
    steps = [row["step"] for row in rows]
    return {
        "loss-per-step": step_losses(steps, column(rows, "loss")),
        "learning-rate": learning_rates(steps, column(rows, "lr")),
    }


def class_names(facts: Facts) -> list[str]:
    return [facts.class_name(label) for label in range(len(facts.confusion))]


def _confused(facts: Facts) -> Section:
    if not facts.confusion:
        return Section("", [])
    parts: list[Part] = []
    mistakes = largest_confusions(facts.confusion)
    if mistakes:
        texts = [
            _("{label} for {prediction} ({count} of {images})").format(
                label=facts.class_name(label),
                prediction=facts.class_name(prediction),
                count=count(mistaken),
                images=count(sum(facts.confusion[label])),
            )
            for label, prediction, mistaken in mistakes
        ]
        parts.append(Text(_("Most often mistaken: {mistakes}.").format(mistakes=" · ".join(texts))))
    drawing = Drawings([confusion_figure(facts.confusion, class_names(facts))], height=560)
    return Section(_("What it confuses"), [*parts, Columns([drawing, *_class_table(facts)])])


def _class_table(facts: Facts) -> list[Part]:
    if not facts.per_class:
        return []
    rows = facts.per_class
    parts: list[Part] = []
    if len(rows) > CLASSES_IN_TABLE:
        rows = sorted(rows, key=lambda row: row.f1)[:CLASSES_IN_TABLE]
        parts.append(Text(_("the {shown} weakest of {all} classes").format(shown=len(rows), all=len(facts.per_class))))
    headings = [_("class"), _("images"), _("precision"), _("recall"), _("F1")]
    cells = [
        [row.name, count(row.images), percent(row.precision), percent(row.recall), percent(row.f1)] for row in rows
    ]
    return [*parts, Table(headings, cells)]


def _mistaken(run: Run, facts: Facts) -> Section:
    if not facts.worst_mistakes:
        return Section("", [])
    title = _("Worst mistakes")
    explanation = Text(_("What it really is → what was predicted, and how sure the model was; the largest loss first."))
    try:
        mistaken = mistaken_images(run, facts)
    except DotbogiError as error:
        reason = _("The images are not shown: {reason}").format(reason=error.message)
        return Section(title, [Text(reason, warning=True), explanation, _mistakes_table(facts)])
    pictures = [Picture(data_uri(one.image), one.what, [one.how_surely, one.where]) for one in mistaken]
    return Section(title, [explanation, Pictures(pictures)])


def _mistakes_table(facts: Facts) -> Table:
    rows = [
        [taken_for(facts, mistake), how_surely(mistake), number(mistake.loss), str(mistake.index)]
        for mistake in facts.worst_mistakes
    ]
    return Table([_("mistake"), _("probability"), _("loss"), _("image")], rows)


def _recipe(run: Run) -> Section:
    again = f"dotbogi show {run.id} --toml > recipe.toml\ndotbogi train recipe.toml"
    return Section(
        _("Recipe"),
        [
            Text(_("Every value that the training had. These two commands train the same again:")),
            Code(again),
            Code(run.recipe.to_toml().rstrip()),
        ],
    )


def _system(run: Run, facts: Facts) -> Section:
    hardware = facts.hardware
    known = {
        _("processor"): hardware.cpu,
        _("cores"): count(hardware.usable_cores) if hardware.usable_cores else "",
        _("memory"): f"{hardware.memory_bytes / 2**30:.1f} GiB" if hardware.memory_bytes else "",
        _("graphics processors"): ", ".join(hardware.gpus),
        _("device, precision, memory format, threads"): _computed(run),
        _("system"): facts.platform,
        _("versions"): ", ".join(f"{name} {version}" for name, version in facts.versions.items() if version),
        _("git commit"): _commit(facts.git) if facts.git else "",
        _("weights (SHA-256)"): run.weights_sha256,
        _("data (SHA-256)"): facts.data_fingerprint,
    }
    pairs = [(name, value) for name, value in known.items() if value]
    return Section(_("Where and with what"), [Pairs(pairs)])


def _computed(run: Run) -> str:
    training = run.recipe.training
    return ", ".join(map(str, (training.device, training.precision, training.memory_format, training.threads)))


def _commit(git: Git) -> str:
    return _("{commit}, with changes").format(commit=git.commit) if git.dirty else git.commit
