"""Whatever is in a bundle's files: it is refused with a BundleError, or predicts sound numbers."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgauge.bundle import files
from textgauge.bundle.predictor import Predictor
from textgauge.bundle.stored import write_digests
from textgauge.errors import BundleError
from textgauge.review.drift import find_drift
from textgauge.review.explanation import Explainer
from textgauge.review.reference import Reference

TEXTS = ["steel bolt of 1979", None, "", "gasket 1e30 worn 12,5 \N{SNOWMAN}", "iron " * 300]
BUDGET = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FEWER = settings(BUDGET, max_examples=40)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, 1e308, -1e308, 5e-324])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "<unk>", "review", "0", "../..", "\0"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """A copy, in which each example changes a file and puts it back."""
    return shutil.copytree(trained.folder, tmp_path_factory.mktemp("fuzzed") / "model")


def load_and_use(folder, name):
    """Load it, and do with it what reads this file."""
    predictor = Predictor.load(folder, cores=1)
    found = predictor.predict(TEXTS)
    assert found.probabilities.shape == (len(TEXTS), len(predictor.classes))
    assert np.isfinite(found.probabilities).all()
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-4)
    assert set(found.decision) <= {*predictor.classes, "review"}
    assert len(found.frame()) == len(TEXTS)
    if name == files.PROFILE:
        reference = Reference.of_model(predictor)
        if reference is not None:
            find_drift(reference.count(pl.Series(TEXTS)), {"0": (3, 2), "1": (1, 1)}, reference)
    if name == files.FILLS:
        Explainer.load(folder, cores=1).explain(TEXTS[:1])


def with_content(folder, name, content, *, digests):
    """Load the bundle with another content of a file; True where it could be used."""
    path = folder / name
    before = {each: (folder / each).read_bytes() for each in (name, files.DIGESTS)}
    try:
        path.write_bytes(content)
        if digests:
            write_digests(folder, files.DIGESTED)
        try:
            load_and_use(folder, name)
        except BundleError as error:
            assert "\n" not in str(error)
            return False
        return True
    finally:
        for each, old in before.items():
            (folder / each).write_bytes(old)


@st.composite
def edits(draw):
    """Where to change bytes, and how: a function of the whole content."""
    kind = draw(st.sampled_from(["flip", "cut", "insert", "drop", "zero", "repeat"]))
    at, size = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 64))
    new = draw(st.binary(min_size=1, max_size=16))

    def edit(content):
        place = int(at * len(content))
        head, tail = content[:place], content[place:]
        return {
            "flip": head + bytes([tail[0] ^ (1 + new[0] % 255)]) + tail[1:],
            "cut": head,
            "insert": head + new + tail,
            "drop": head + tail[size:],
            "zero": head + bytes(len(tail[:size])) + tail[size:],
            "repeat": head + tail[:size] * 2 + tail[size:],
        }[kind]

    return edit


@BUDGET
@given(name=st.sampled_from(files.DIGESTED[:5]), edit=edits())
def test_changed_bytes_of_any_file_are_found_by_the_digests(folder, name, edit):
    content = (folder / name).read_bytes()
    changed = edit(content)
    if name != files.FILLS:
        assert with_content(folder, name, changed, digests=False) is (changed == content)


@BUDGET
@given(name=st.sampled_from(files.DIGESTED[:5]), edit=edits())
def test_changed_bytes_with_digests_of_their_own_are_refused_or_sound(folder, name, edit):
    with_content(folder, name, edit((folder / name).read_bytes()), digests=True)


@BUDGET
@given(edit=edits(), early=st.booleans())
def test_changed_networks_are_refused_or_sound(folder, edit, early):
    """Of a network all but the weights is in the first and the last bytes."""
    content = (folder / files.ONNX).read_bytes()
    head, tail = (content[:1500], content[1500:]) if early else (content[:-600], content[-600:])
    changed = edit(head) + tail if early else head + edit(tail)
    with_content(folder, files.ONNX, changed, digests=True)


@st.composite
def replacements(draw):
    """Another value somewhere in a JSON value, or a key or item less."""
    path, value, drop = (
        draw(st.lists(st.integers(0, 40), max_size=4)),
        draw(VALUES),
        draw(st.booleans()),
    )

    def replace(values, steps=path):
        if not steps or not isinstance(values, dict | list) or not values:
            return value
        if isinstance(values, dict):
            key = list(values)[steps[0] % len(values)]
            return {
                each: replace(inner, steps[1:]) if each == key else inner
                for each, inner in values.items()
                if not (drop and each == key and len(steps) == 1)
            }
        at = steps[0] % len(values)
        new = [] if drop and len(steps) == 1 else [replace(values[at], steps[1:])]
        return values[:at] + new + values[at + 1 :]

    return replace  # fmt: skip


@pytest.mark.parametrize("name", [files.SETTINGS, files.VOCABULARY, files.PROFILE, files.FILLS])
@FEWER
@given(replace=replacements(), key=st.integers(0, 40))
def test_other_json_is_refused_or_sound(folder, name, replace, key):
    values = json.loads((folder / name).read_bytes())
    content = json.dumps(replace(values)).encode()
    with_content(folder, name, content, digests=True)


@FEWER
@given(content=st.binary(max_size=200) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_any_digests_are_refused_or_do_no_harm(folder, content):
    before = (folder / files.DIGESTS).read_bytes()
    try:
        (folder / files.DIGESTS).write_bytes(content)
        with suppress(BundleError):
            load_and_use(folder, files.DIGESTS)
    finally:
        (folder / files.DIGESTS).write_bytes(before)
