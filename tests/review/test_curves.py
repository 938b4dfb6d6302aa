"""The picture of the training: that it is one, and that no title or figure breaks it."""

import matplotlib.image
import numpy as np
import pytest

from textgauge.review.curves import TRAIN_COLOR, VAL_COLOR, draw_curves
from textgauge.training.history import Epoch


def history_of(val_losses, **changes):
    return [
        Epoch(
            **{
                "epoch": number,
                "train_loss": 0.7 / number,
                "train_accuracy": 1 - 0.4 / number,
                "val_loss": loss,
                "val_accuracy": 1 - 0.3 / number,
                "lr": 0.001,
                "seconds": 0.5,
                **changes,
            }
        )
        for number, loss in enumerate(val_losses, start=1)
    ]


HISTORY = history_of([0.6, 0.3, 0.2, 0.25])


def draw(tmp_path, title="LSTM on notes.csv", history=HISTORY):
    """The pixels of the picture. Shape: (height, width, 4), in [0, 1]."""
    path = tmp_path / "training_results.png"
    draw_curves(history, path, title)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(path)


def pixels_of(picture, color):
    """How many pixels have a colour, given as "#rrggbb"."""
    wanted = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return int((np.abs(picture[..., :3] - wanted).max(-1) < 0.01).sum())


def texts_drawn(monkeypatch, tmp_path, **options):
    """Every text of the figure, by way of its canvas."""
    from matplotlib.figure import Figure

    figures = []
    real = Figure.savefig

    def savefig(figure, *args, **kwargs):
        figures.append(figure)
        return real(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    draw(tmp_path, **options)
    (figure,) = figures
    return figure


def test_the_picture_is_a_png_of_1210_by_462_pixels(tmp_path):
    assert draw(tmp_path).shape == (462, 1210, 4)


def test_both_halves_show_a_line_for_training_and_one_for_validation(tmp_path):
    picture = draw(tmp_path)
    for half in (picture[:, :605], picture[:, 605:]):
        assert pixels_of(half, TRAIN_COLOR) > 100
        assert pixels_of(half, VAL_COLOR) > 100


def test_accuracy_stands_left_and_loss_right_with_every_epochs_figures(monkeypatch, tmp_path):
    left, right = texts_drawn(monkeypatch, tmp_path).axes
    assert [left.get_title(), right.get_title()] == ["Accuracy", "Loss (nats a row)"]
    for axes, name in ((left, "accuracy"), (right, "loss")):
        train, val = axes.get_lines()[:2]
        for line, part in ((train, "train"), (val, "val")):
            assert line.get_xdata().tolist() == [1, 2, 3, 4]
            assert line.get_ydata().tolist() == [getattr(e, f"{part}_{name}") for e in HISTORY]
        assert train.get_label() == "training (dropout on)"
        assert val.get_label() == "validation"
        assert axes.get_xlabel() == "epoch"


def test_one_epoch_without_dropout_is_shown_on_the_whole_scale(monkeypatch, tmp_path):
    path = tmp_path / "one.png"
    figures = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda figure, *_, **__: figures.append(figure)
    )
    draw_curves(HISTORY[:1], path, "LINEAR on notes.csv", dropout=False)
    left, right = figures[0].axes
    assert left.get_lines()[0].get_label() == "training"
    assert left.get_ylim() == (0, 1)
    assert right.get_ylim()[0] == 0


def test_the_kept_epoch_is_marked_where_the_validation_loss_is_lowest(monkeypatch, tmp_path):
    left, right = texts_drawn(monkeypatch, tmp_path).axes
    for axes, at, label in (
        (left, 1 - 0.3 / 3, "kept: epoch 3, 90.0%"),
        (right, 0.2, "kept: epoch 3, 0.2000"),
    ):
        line, mark = axes.get_lines()[2:]
        assert line.get_xdata() == [3, 3]
        assert (mark.get_xdata().tolist(), mark.get_ydata().tolist()) == ([3], [at])
        assert mark.get_label() == label
        assert label in [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize(
    "title",
    [
        "cost of $5 and $6",
        r"a $\undefined{$ b",
        "a_b^c {x} 100% \\n",
        "日本語 العربية हिन्दी 🙂",
        "tab\tand\nline",
        "x" * 5000,
        "",
    ],
    ids=["dollars", "no formula", "signs", "scripts", "spaces", "long", "empty"],
)
def test_no_title_breaks_the_picture_or_warns(tmp_path, title):
    picture = draw(tmp_path, title)
    assert picture.shape == (462, 1210, 4)
    assert pixels_of(picture, VAL_COLOR) > 200


def test_a_title_is_drawn_as_it_is_written(monkeypatch, tmp_path):
    figure = texts_drawn(monkeypatch, tmp_path, title="LSTM on\t$5 and $6.csv")
    assert figure.get_suptitle() == "LSTM on $5 and $6.csv"
    assert not figure._suptitle.get_parse_math()


def test_a_long_title_is_cut_to_what_fits(monkeypatch, tmp_path):
    figure = texts_drawn(monkeypatch, tmp_path, title="LSTM on " + "n" * 500)
    title = figure.get_suptitle()
    assert title.startswith("LSTM on nnn")
    assert title.endswith("n…")
    box = figure._suptitle.get_window_extent()
    assert box.x0 > 0
    assert box.x1 < 1210


@pytest.mark.parametrize(
    "history",
    [
        history_of([0.5]),
        history_of([0.0] * 3, train_loss=0.0, val_accuracy=1.0),
        history_of([0.9 - number / 2000 for number in range(1000)]),
        history_of([0.5, float("inf")]),
        history_of([0.5, float("nan")], train_loss=float("nan")),
    ],
    ids=["one epoch", "flat", "a thousand epochs", "infinite", "not a number"],
)
def test_no_history_breaks_the_picture_or_warns(tmp_path, history):
    assert draw(tmp_path, history=history).shape == (462, 1210, 4)


def test_the_picture_leaves_matplotlibs_state_alone(fresh_python, tmp_path):
    script = f"""
import sys
from textgauge.review.curves import draw_curves
from textgauge.training.history import Epoch
draw_curves([Epoch(1, .5, .5, .5, .5, .1, 1.0)], {str(tmp_path / "a.png")!r}, "x")
print("matplotlib.pyplot" in sys.modules)
"""
    assert fresh_python(script).strip() == "False"
