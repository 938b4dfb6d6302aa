"""The error tree as it is drawn, its exit statuses, and the nearest known name."""

import doctest
import re

import pytest

from textgauge import errors
from textgauge.errors import (
    SettingsError,
    TextgaugeError,
    did_you_mean,
    nearest,
    was_interrupted,
)


def subclasses_of(kind):
    """All classes of this package below `kind`, with their parents' names."""
    for child in kind.__subclasses__():
        if child.__module__ != errors.__name__:
            continue  # Another test's own.
        yield child.__name__, kind.__name__
        yield from subclasses_of(child)


def drawn_tree():
    """Names and parents as the drawing at the top of the file shows them: four columns a level."""
    above = {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+Error)\b", line)
        if match:
            level = len(match[1]) // 4
            above[level] = match[2]
            if level:
                yield match[2], above[level - 1]


def test_the_drawing_shows_every_error_and_no_other():
    assert sorted(drawn_tree()) == sorted(subclasses_of(TextgaugeError))


def test_wrong_settings_end_with_2_and_everything_else_with_1():
    statuses = {
        name: getattr(errors, name).exit_status for name, _ in subclasses_of(TextgaugeError)
    }
    assert statuses.pop("SettingsError") == 2
    assert set(statuses.values()) == {1}
    assert TextgaugeError.exit_status == 1


def test_no_error_of_the_tree_is_one_of_pythons_own():
    assert TextgaugeError.__bases__ == (Exception,)
    assert SettingsError.__bases__ == (TextgaugeError,)


def test_the_worked_examples_hold():
    assert doctest.testmod(errors) == (0, 2)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("lable", ["text", "label"], "label"),
        ("Label", ["text", "label"], "label"),
        ("label", ["Text", "LABEL"], "LABEL"),
        ("epoch", ["epochs", "patience"], "epochs"),
        ("xyz", ["text", "label"], None),
        ("label", [], None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case_and_given_as_it_is_known(
    name, known, expected
):
    assert nearest(name, known) == expected
    assert nearest(name, iter(known)) == expected


def test_of_two_names_the_closer_one_is_nearest():
    assert nearest("labels", ["cables", "label", "table"]) == "label"


def test_the_piece_of_message_is_empty_where_nothing_is_close():
    assert did_you_mean("lable", ["text", "label"]) == " Did you mean 'label'?"
    assert did_you_mean("lable", iter(["label"])) == " Did you mean 'label'?"
    assert did_you_mean("xyz", ["text", "label"]) == ""


def test_what_came_of_ctrl_c_is_told_from_a_fault():
    def raised(first, second):
        try:
            try:
                raise first
            except BaseException:
                raise second from None
        except BaseException as error:
            return error

    wrapped = ImportError("initialization failed")
    wrapped.__cause__ = KeyboardInterrupt()
    assert was_interrupted(KeyboardInterrupt())
    assert was_interrupted(raised(wrapped, TextgaugeError("model.onnx is damaged")))
    assert not was_interrupted(raised(ImportError(), TextgaugeError("model.onnx is damaged")))
    assert not was_interrupted(None)
