"""What a server has no room for is cut or left out there, and named."""

from __future__ import annotations

import pytest

from textgauge.tracking.limits import Shortened, fit_metrics, fit_params, fit_tags
from textgauge.tracking.servers import Limits

ALL = ["lr", "eval_loss", "eval_accuracy", "eval_macro_f1", "train_loss", "val_loss"]
"""Metrics that every run has."""


def test_without_limits_all_stays_as_it_is() -> None:
    tags = {f"t{n}": "x" * 8000 for n in range(200)}
    params = {f"p{n}": "x" * 6000 for n in range(200)}
    assert fit_tags(tags, {}, Limits()) == (tags, [])
    assert fit_params(params, Limits()) == (params, [])
    assert fit_metrics({"b", "a"}, (), Limits()) == (["a", "b"], [])


@pytest.mark.parametrize(("length", "fitting"), [(9, "x" * 9), (10, "x" * 10), (11, "x" * 9 + "…")])
def test_a_value_is_cut_where_the_room_ends(length: int, fitting: str) -> None:
    value = "x" * length
    whole = [] if length <= 10 else [value]
    params, shortened = fit_params({"p": value}, Limits(param_value=10))
    assert (params, [each.whole for each in shortened]) == ({"p": fitting}, whole)
    tags, shortened = fit_tags({"t": value}, {}, Limits(tag_value=10))
    assert (tags, [each.whole for each in shortened]) == ({"t": fitting}, whole)


def test_what_was_cut_is_named_with_its_kind_and_its_whole_name() -> None:
    assert fit_params({"long": "x" * 11, "short": "x"}, Limits(param_value=10))[1] == [
        Shortened("params", "long", "x" * 11)
    ]
    tags, shortened = fit_tags({"a_long_name": "value"}, {}, Limits(tag_key=5))
    assert tags == {"a_lo_": "value"}
    assert shortened == [Shortened("tags", "a_long_name", "value")]


def test_a_tags_name_of_just_the_right_length_stays() -> None:
    assert fit_tags({"names": "v"}, {}, Limits(tag_key=5)) == ({"names": "v"}, [])


def test_tags_that_find_no_room_are_named() -> None:
    tags = {"b": "1", "a": "2", "c": "3"}
    fitting, shortened = fit_tags(tags, {}, Limits(tags=2))
    assert fitting == {"b": "1", "a": "2"}
    assert shortened == [Shortened("tags", "c", "3")]


def test_mlflows_own_tags_come_first() -> None:
    tags = {"a": "1", "b": "2", "mlflow.user": "ann", "mlflow.note.content": "good"}
    fitting, shortened = fit_tags(tags, {}, Limits(tags=3))
    assert set(fitting) == {"mlflow.user", "mlflow.note.content", "a"}
    assert [each.key for each in shortened] == ["b"]


def test_tags_of_others_take_room_and_ones_own_do_not_take_it_twice() -> None:
    tags = {"a": "new", "b": "2"}
    assert fit_tags(tags, {"a": "old", "b": "2"}, Limits(tags=2)) == (tags, [])
    fitting, shortened = fit_tags(tags, {"theirs": "1"}, Limits(tags=2))
    assert fitting == {"a": "new"}
    assert [each.key for each in shortened] == ["b"]
    full = {f"theirs{n}": "1" for n in range(5)}
    assert fit_tags(tags, full, Limits(tags=2))[0] == {}


def test_a_tag_that_the_server_has_keeps_its_room() -> None:
    """Also when another comes along that is set first where there is room for all."""
    held = {"b": "1", "a_lo_": "2"}
    tags = {"a": "0", "a_long_name": "2", "b": "1", "mlflow.user": "ann"}
    fitting, shortened = fit_tags(tags, held, Limits(tags=2, tag_key=5))
    assert fitting == held
    assert {each.key for each in shortened} == {"a", "a_long_name", "mlflow.user"}


def test_metrics_that_every_run_has_are_kept_even_if_they_come_last() -> None:
    """50 names of somebody's own come first in the alphabet, and early in the run."""
    others = [f"a{n:02}" for n in range(60)]
    early, left_out = fit_metrics([*others, "lr"], (), Limits(metric_names=50))
    assert "lr" in early
    assert set(early) | set(left_out) == {*others, "lr"}
    late, still_out = fit_metrics([*others, *ALL], early, Limits(metric_names=50))
    assert set(ALL) <= set(late)
    assert set(early) <= set(late), "what the server has already stays"
    assert len(late) <= 50
    assert set(late) | set(still_out) == {*others, *ALL}
    assert not set(late) & set(still_out)


def test_metrics_of_others_take_room() -> None:
    theirs = [f"theirs{n}" for n in range(40)]
    kept, left_out = fit_metrics([f"a{n}" for n in range(9)], theirs, Limits(metric_names=50))
    assert kept == ["a0", "a1"]  # 50 less 40 less the 8 that every run has
    assert len(left_out) == 7


def test_a_server_that_is_full_still_gets_what_every_run_has() -> None:
    theirs = [f"theirs{n}" for n in range(60)]
    own = [f"a{n:02}" for n in range(30)]
    kept, left_out = fit_metrics([*own, "eval_loss"], theirs, Limits(metric_names=50))
    assert (kept, left_out) == (["eval_loss"], own)
