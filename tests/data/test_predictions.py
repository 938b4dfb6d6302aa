"""What predictions add to a table."""

import polars as pl
import pytest

from textgauge.data.predictions import ADDED, texts_to_predict, with_predictions
from textgauge.errors import ColumnError, TableError


def test_the_added_columns_are_null_where_the_text_is():
    frame = pl.DataFrame({"text": ["a", None]})
    predicted = pl.DataFrame(
        {"predicted_label": ["1", "0"], "probability": [0.9, 0.8], "decision": ["1", "review"]}
    )
    scored = with_predictions(frame, frame["text"], predicted)
    assert scored.columns == ["text", *ADDED]
    assert scored.rows() == [("a", "1", 0.9, "1"), (None, None, None, None)]


def test_a_column_that_is_missing_is_told_with_the_nearest():
    with pytest.raises(ColumnError, match="Did you mean 'texts'"):
        texts_to_predict(pl.DataFrame({"texts": ["a"]}), "text")


def test_a_column_that_would_be_added_twice_is_refused():
    with pytest.raises(TableError, match="already has a column 'decision'"):
        texts_to_predict(pl.DataFrame({"text": ["a"], "decision": ["x"]}), "text")


def test_a_column_without_texts_is_refused():
    with pytest.raises(ColumnError, match="holds List"):
        texts_to_predict(pl.DataFrame({"text": [["a"]]}), "text")
