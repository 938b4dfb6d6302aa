"""The simple classifiers: what they predict, and their process, when it ends well or badly."""

import itertools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from textgauge.data.component_notes import make_component_notes
from textgauge.data.corpus import LabelledTexts, build_corpus
from textgauge.errors import TextgaugeError
from textgauge.review import baselines
from textgauge.review.baselines import (
    MAJORITY,
    TFIDF_LR,
    Baseline,
    fit_majority,
    fit_tfidf_lr,
    start,
)
from textgauge.review.folds import out_of_sample
from textgauge.review.label_issues import find_doubts


@dataclass(frozen=True)
class Finished:
    """What the real process made of the component notes, and what was left of its folder."""

    baselines: list[Baseline]
    doubts: pl.DataFrame
    left: list[Path]


@pytest.fixture(scope="module")
def finished(trained, tmp_path_factory):
    """The real process, in a working folder where files are called like modules."""
    work, folders = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("folders")
    for name in ("json", "numpy", "random", "textgauge"):
        (work / f"{name}.py").write_text("raise SystemExit('imported the wrong file')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.setattr("tempfile.tempdir", str(folders))
        corpus = trained.corpus
        working = start(corpus.train, corpus.test.texts, 2, val=corpus.val)
        baselines = working.wait()
        working.doubt_labels((corpus.val, corpus.test), answers_for(corpus))
        doubts = working.doubts()
        working.stop()  # What has ended may be stopped.
        left = list(folders.iterdir())
    return Finished(baselines, doubts, left)


def answers_for(corpus):
    """Of a model that knows nothing of validation and test, but that one label is wrong."""
    val, test = (np.full((len(part), 2), 0.5, np.float32) for part in (corpus.val, corpus.test))
    turned = len(test) // 2
    test[turned] = 0
    test[turned, 1 - corpus.test.main_label[turned]] = 1
    return val, test


@pytest.fixture
def no_words():
    """Texts and labels that no process needs to look at."""
    texts = pl.Series(["a b", "c d"])
    return LabelledTexts(texts, np.arange(2), np.arange(2), np.ones(2, dtype=np.int64))


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """Let the baselines put their temporary folders into an empty one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def triples_of(texts):
    return np.stack([texts.text_index, texts.label, texts.count])


def contradictory_notes(trained):
    """The training notes with words repeated, and labels turned around for some soft ones."""
    train = trained.corpus.train
    flipped = np.arange(0, len(train), 7)
    order = np.argsort(np.concatenate([train.text_index, flipped]), kind="stable")
    return LabelledTexts(
        pl.Series([f"{text} {text.split()[0]}" for text in train.texts]),
        np.concatenate([train.text_index, flipped])[order],
        np.concatenate([train.label, 1 - train.main_label[flipped]])[order],
        np.concatenate([train.count, np.ones(len(flipped), dtype=np.int64)])[order],
    )


# ---- what they predict


def test_the_simplest_comes_first_and_both_saw_all_the_training_texts(trained, finished):
    assert [baseline.name for baseline in finished.baselines] == [MAJORITY, TFIDF_LR]
    for baseline in finished.baselines:
        assert baseline.fitted_on == len(trained.corpus.train)
        assert baseline.seconds >= 0
        assert baseline.probabilities.shape == (len(trained.corpus.test), 2)
        assert baseline.probabilities.dtype == np.float32
        np.testing.assert_allclose(baseline.probabilities.sum(1), 1, rtol=1e-5)


def test_the_majority_baseline_gives_every_text_the_shares_of_trains_rows(trained, finished):
    train = trained.corpus.train
    share = train.label_rows(2)[1] / train.rows
    np.testing.assert_allclose(finished.baselines[0].probabilities[:, 1], share, rtol=1e-6)


def test_logistic_regression_is_scikit_learns_fitted_on_every_row(trained):
    train, test = contradictory_notes(trained), trained.corpus.test.texts
    found = fit_tfidf_lr(train.texts, triples_of(train), test, 2)
    # The same model in other words: every row its own, and no weights.
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: [*text.split(), *map(" ".join, itertools.pairwise(text.split()))],
        sublinear_tf=True,
    ).fit(train.texts.to_list())
    rows = np.repeat(train.text_index, train.count)
    regression = LogisticRegression(C=10, max_iter=3000, tol=1e-8).fit(
        vectorizer.transform(train.texts.gather(rows).to_list()),
        np.repeat(train.label, train.count),
    )
    expected = regression.predict_proba(vectorizer.transform(test.to_list()))
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert expected[:, 1].std() > 0.05  # They do tell the texts apart.


def test_the_process_predicts_what_its_functions_predict(trained, finished):
    train, test = trained.corpus.train, trained.corpus.test.texts
    expected = fit_tfidf_lr(train.texts, triples_of(train), test, 2)
    np.testing.assert_allclose(finished.baselines[1].probabilities, expected, atol=1e-5)


def test_a_label_that_train_lacks_has_probability_zero():
    train = pl.Series(["steel bolt", "iron nut", "steel nut"])
    triples = np.array([[0, 1, 2], [0, 2, 0], [1, 1, 1]])
    found = fit_tfidf_lr(train, triples, pl.Series(["steel bolt", "iron nut"]), 4)
    assert found.shape == (2, 4)
    assert (found[:, [1, 3]] == 0).all()
    assert found.argmax(1).tolist() == [0, 2]
    majority = fit_majority(triples[1], triples[2], 2, 4)
    np.testing.assert_allclose(majority, [[2 / 3, 0, 1 / 3, 0]] * 2, rtol=1e-6)


def test_the_majority_counts_rows_not_texts():
    found = fit_majority(np.array([0, 1]), np.array([1, 9]), texts=3, classes=2)
    np.testing.assert_allclose(found, [[0.1, 0.9]] * 3, rtol=1e-6)


def test_a_single_letter_and_a_number_are_words_too():
    train = pl.Series(["m 8", "m 6"])
    triples = np.array([[0, 1], [0, 1], [1, 1]])
    found = fit_tfidf_lr(train, triples, pl.Series(["m 8", "m 6"]), 2)
    assert found.argmax(1).tolist() == [0, 1]


def test_where_no_text_has_a_word_the_shares_of_the_labels_are_given():
    train, triples = pl.Series(["!", "?"]), np.array([[0, 1], [0, 1], [3, 1]])
    found = fit_tfidf_lr(train, triples, pl.Series(["!!"]), 2)
    assert found.tolist() == [[0.75, 0.25]]


def test_of_very_many_texts_a_sample_is_fitted_on_and_the_triples_follow(monkeypatch):
    monkeypatch.setattr(baselines, "MAX_TEXTS", 3)
    texts = pl.Series([f"text {index}" for index in range(8)])
    # Text t has the label t, and t + 1 rows; every second text a second label.
    index = np.array([0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7])
    triples = np.stack([index, index, index + 1])
    some, kept = baselines.sample(texts, triples)
    assert len(some) == 3
    numbers = np.array([int(text.removeprefix("text ")) for text in some])
    assert len(set(numbers)) == 3
    assert sorted(set(kept[0])) == [0, 1, 2]
    assert np.array_equal(numbers[kept[0]], kept[1])
    assert np.array_equal(kept[1] + 1, kept[2])
    assert kept.shape[1] == np.isin(index, numbers).sum()


def test_a_table_of_usual_size_is_not_sampled():
    texts, triples = pl.Series(["a", "b"]), np.zeros((3, 2), dtype=np.int64)
    some, kept = baselines.sample(texts, triples)
    assert some is texts
    assert kept is triples


def test_they_learn_from_the_validation_texts_where_the_model_does(trained, finished):
    train, val, test = trained.corpus.train, trained.corpus.val, trained.corpus.test.texts
    working = start(train, test, 2, val=val, refit=True)
    majority, regression = working.wait()
    both = train.joined(val)
    share = both.label_rows(2)[1] / both.rows
    assert share != train.label_rows(2)[1] / train.rows
    np.testing.assert_allclose(majority.probabilities[:, 1], share, rtol=1e-6)
    expected = fit_tfidf_lr(both.texts, triples_of(both), test, 2)
    np.testing.assert_allclose(regression.probabilities, expected, atol=1e-5)
    assert {each.fitted_on for each in (majority, regression)} == {len(train) + len(val)}
    # Which labels are in doubt is found by folds of train, as ever.
    working.doubt_labels((val, trained.corpus.test), answers_for(trained.corpus))
    assert working.doubts().equals(finished.doubts)
    working.stop()


def test_what_thresholds_are_found_on_has_not_been_learned():
    notes = make_component_notes(300).with_columns(
        pl.when(pl.col("year") > 2000).then(pl.lit("new|x")).otherwise(pl.lit("old")).alias("label")
    )
    corpus = build_corpus(notes, seed=0, fractions=(0.5, 0.25, 0.25), separator="|")
    train, val, found = corpus.train, corpus.val, {}
    for refit in (False, True):
        working = start(train, val.texts, 3, val=val, refit=refit)
        found[refit] = working.wait()
        working.stop()
    for plain, again in zip(found[False], found[True], strict=True):
        np.testing.assert_array_equal(plain.on_val, again.on_val)
        np.testing.assert_array_equal(plain.on_val, plain.probabilities)
        assert not np.array_equal(again.on_val, again.probabilities)
        assert (plain.fitted_on, again.fitted_on) == (len(train), len(train) + len(val))


# ---- their process


def test_the_test_labels_are_never_handed_over(trained, in_a_folder, monkeypatch):
    run_instead(monkeypatch, "")
    working = start(trained.corpus.train, trained.corpus.test.texts, 2)
    (folder,) = in_a_folder.iterdir()
    held = {
        "columns": pl.read_ipc(folder / "test.arrow").columns,
        "files": sorted(path.name for path in folder.iterdir()),
    }
    working.stop()
    files = ["errors.txt", "known.arrow", "test.arrow", "triples.npy", "val.arrow"]
    assert held == {"columns": ["text"], "files": files}


def test_labels_in_doubt_are_found_by_folds_and_the_trained_model(trained, finished):
    corpus = trained.corpus
    parts = (corpus.train, corpus.val, corpus.test)
    ends = np.cumsum([len(part) for part in parts])
    out = np.zeros((ends[-1], 2), dtype=np.float32)
    texts = pl.concat([part.texts for part in parts])
    out_of_sample(texts, triples_of(corpus.train), len(corpus.train), out, baselines.vectorizer)
    turned = ends[1] + len(corpus.test) // 2
    sure = np.full((ends[-1] - ends[0], 2), 0.5, dtype=np.float32)
    sure[turned - ends[0]] = 0
    sure[turned - ends[0], 1 - corpus.test.main_label[len(corpus.test) // 2]] = 1
    out[ends[0] :] = (out[ends[0] :] + sure) / 2
    triples = [triples_of(part) for part in parts]
    triples[1][0] += ends[0]
    triples[2][0] += ends[1]
    expected = find_doubts(np.concatenate(triples, axis=1), out)
    assert finished.doubts.equals(expected)


def test_a_process_that_dies_over_the_labels_is_told(no_words, in_a_folder, monkeypatch):
    results = "import pathlib, sys; pathlib.Path(sys.argv[1], 'results.json').write_text('[]')"
    script = f"{results}; print('baselines', flush=True); input(); sys.exit('no room')"
    run_instead(monkeypatch, script, arguments=True)
    working = start(no_words, no_words.texts, 2)
    assert working.wait() == []
    working.doubt_labels((no_words,), (np.full((2, 2), 0.5, dtype=np.float32),))
    with pytest.raises(TextgaugeError) as error:
        working.doubts()
    assert str(error.value) == "the labels could not be examined: no room"
    assert list(in_a_folder.iterdir()) == []


def test_a_process_that_nobody_asks_for_labels_ends_when_its_parent_does(trained, tmp_path):
    corpus = trained.corpus
    working = start(corpus.train, corpus.test.texts, 2)
    working.wait()
    working._process.stdin.close()
    assert working._process.wait(60) == 0
    working.stop()


def test_a_finished_process_leaves_no_folder(finished):
    assert finished.left == []


def test_a_process_that_fails_is_told_by_its_last_line(no_words, in_a_folder, monkeypatch):
    run_instead(monkeypatch, "raise MemoryError('no room for 8 GiB')")
    with pytest.raises(TextgaugeError) as error:
        start(no_words, no_words.texts, 2).wait()
    assert str(error.value) == "the baselines could not be fitted: MemoryError: no room for 8 GiB"
    assert list(in_a_folder.iterdir()) == []


def test_a_process_that_dies_without_a_word_is_told(no_words, in_a_folder, monkeypatch):
    run_instead(monkeypatch, "import os; os._exit(9)")
    with pytest.raises(TextgaugeError, match="the baselines could not be fitted: no message"):
        start(no_words, no_words.texts, 2).wait()
    assert list(in_a_folder.iterdir()) == []


def test_stopping_leaves_no_process_and_no_folder(no_words, in_a_folder, monkeypatch):
    run_instead(monkeypatch, "import sys; sys.stdin.read()", stdin=subprocess.PIPE)
    working = start(no_words, no_words.texts, 2)
    process = working._process
    assert process.poll() is None
    assert len(list(in_a_folder.iterdir())) == 1
    working.stop()
    process.stdin.close()
    assert process.returncode is not None
    assert list(in_a_folder.iterdir()) == []
    working.stop()  # What has ended may be stopped again.


def run_instead(monkeypatch, script, *, arguments=False, **options):
    """Let `start` run a script in place of the baselines, with its folder if it asks for it."""
    real = subprocess.Popen

    def popen(command, **given):
        more = command[-3:] if arguments else []
        return real([sys.executable, "-c", script, *more], **{**given, **options})

    monkeypatch.setattr(subprocess, "Popen", popen)
