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
            model_input: texts as a list, a pandas Series, one string, or a pandas DataFrame with
                the column that the model was trained with, or a column `text`, or one column
                without a name. Numbers are read as texts, a missing value as an empty one.

        Returns:
            A pandas DataFrame with `predicted_label`, `probability` and `decision`, one row a text
            in the order (and with the index) of the input.

        Raises:
            ValueError: the table has no such column.
            TypeError: a value is neither a text nor a number.

        """
        import pandas as pd

        column = _text_column(model_input, self.predictor.settings["config"]["text"])
        frame = self.predictor.predict(column).frame()
        return pd.DataFrame(
            {name: frame[name].to_list() for name in frame.columns}, index=column.index
        )


def _text_column(model_input: Any, trained: str) -> Any:
    """The texts in `model_input`, as a pandas Series.

    MLflow hands over no more than the first column of a table, since the model's signature names
    none (with a name it would take no lists). So a single column of another name may be any column
    of the caller's table, and is refused: predictions for numbers of articles look like others.
    """
    import pandas as pd

    if isinstance(model_input, str):
        return pd.Series([model_input], dtype=object)
    if not isinstance(model_input, pd.DataFrame):
        return pd.Series(model_input, dtype=object)
    names = list(model_input.columns)
    for name in (trained, "text"):
        if names.count(name) == 1:
            return model_input[name]
    if len(names) == 1 and names[0] in (None, 0, "0"):
        return model_input.iloc[:, 0]
    raise ValueError(
        f"the model reads the column {trained!r}, and was given {[str(name) for name in names]}; "
        f"pass a list of texts, or table[[{trained!r}]] (MLflow hands over the first column alone)."
    )


def _load_pyfunc(path: str) -> TextModel:
    """Load the bundle in the folder `path`: MLflow's entry point for loader modules."""
    return TextModel(Predictor.load(Path(path)))
