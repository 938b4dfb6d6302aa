"""The loader that MLflow calls: a bundle as a `python_function` model on raw texts.

This file is carried inside every saved model, as the predictor is; it needs pandas because
`mlflow.pyfunc` itself does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .predictor import Predictor


class TextModel:
    """What `mlflow.pyfunc.load_model(...)` wraps."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any) -> Any:
        """Predict raw texts.

        Args:
            model_input: texts as a pandas DataFrame with one column (or a column `text`), a pandas
                Series, a list, or one string. A missing value is read as an empty text.

        Returns:
            A pandas DataFrame with `predicted_label`, `probability` and `decision`, one row a text
            in the order (and with the index) of the input.

        Raises:
            ValueError: a table of several columns of which none is called `text`.

        """
        import pandas as pd

        column = _text_column(model_input)
        texts = [
            None if missing else str(text)
            for text, missing in zip(column, column.isna(), strict=True)
        ]
        frame = self.predictor.predict(texts).frame()
        return pd.DataFrame(
            {name: frame[name].to_list() for name in frame.columns}, index=column.index
        )


def _text_column(model_input: Any) -> Any:
    """The texts in `model_input`, as a pandas Series."""
    import pandas as pd

    if isinstance(model_input, str):
        return pd.Series([model_input], dtype=object)
    if not isinstance(model_input, pd.DataFrame):
        return pd.Series(model_input, dtype=object)
    if model_input.shape[1] == 1:
        return model_input.iloc[:, 0]
    if "text" in model_input.columns:
        return model_input["text"]
    raise ValueError(
        f"the table has the columns {[str(name) for name in model_input.columns]}, none of them "
        "'text'; pass the column of texts alone, table[['NAME']]."
    )


def _load_pyfunc(path: str) -> TextModel:
    """Load the bundle in the folder `path`: MLflow's entry point for loader modules."""
    return TextModel(Predictor.load(Path(path)))
