"""What a training would work with, without training: the check, the split, how texts are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from .config import Config
from .data.checks import CheckReport
from .data.corpus import Corpus
from .engines.local import open_table
from .text.reader import TextReader
from .text.vectors import WordVectors, read_vectors
from .training.progress import NoProgress


@dataclass(frozen=True)
class Preview:
    """What a training would work with.

    Attributes:
        config: the settings.
        check: what was found in the table.
        corpus: its distinct texts, cut into parts.
        reader: how texts become token ids, learned from the training texts alone.

    """

    config: Config
    check: CheckReport
    corpus: Corpus
    reader: TextReader

    @cached_property
    def vectors(self) -> WordVectors | None:
        """The word vectors of the known words, `coverage` among it; None where none are set.

        Raises TableError or MissingPackageError where they cannot be read.
        """
        source = self.config.vectors
        return None if source is None else read_vectors(source, self.reader.names)

    def encoding(self, text: str) -> pl.DataFrame:
        """How a text is read, a row a token.

        Columns `token`; `id` and `known_as`, the word that the id stands for; of numbers `value`
        and `position`, where it lies on the quantiles of the training texts' numbers.
        """
        kinds = {
            "token": pl.String,
            "id": pl.Int64,
            "known_as": pl.String,
            "value": pl.Float64,
            "position": pl.Float64,
        }
        return pl.DataFrame(self.reader.describe(text), schema=kinds)

    def words(self) -> pl.DataFrame:
        """The known words in the order of their ids: `id`, `word`, and `vector`: has it one."""
        names = pl.DataFrame({"word": self.reader.names}).with_row_index("id")
        found = [] if self.vectors is None else self.vectors.rows.tolist()
        return names.with_columns(vector=pl.col("id").is_in(found))

    def layers(self) -> pl.DataFrame:
        """The untrained model, a row a layer that has weights.

        Columns `layer`, its `kind`, the shapes of its `weights`, how many `parameters` these are,
        and whether they are `trained`. Needs torch. Raises what the training would raise for
        settings or word vectors that do not fit.
        """
        from .training.fit import new_model

        train = self.reader.encode_normalised(self.corpus.train.texts)
        classes = len(self.corpus.classes)
        model, _, _ = new_model(self.reader, self.config, classes, NoProgress(), train)
        rows = []
        for name, layer in model.named_modules():
            weights = list(layer.parameters(recurse=False))
            if weights:
                rows.append(
                    {
                        "layer": name,
                        "kind": type(layer).__name__,
                        "weights": ", ".join(" x ".join(map(str, w.shape)) for w in weights),
                        "parameters": sum(w.numel() for w in weights),
                        "trained": all(w.requires_grad for w in weights),
                    }
                )
        return pl.DataFrame(rows)


def preview(
    table: Any, *, encoding: str | None = None, delimiter: str | None = None, **settings: Any
) -> Preview:
    """Look at what `textgauge.train` would work with, without training.

    Args:
        table: a file (CSV, TSV, JSON Lines, Parquet, Arrow, also .gz), or a pandas or Polars
            DataFrame.
        encoding: of a text file that is not UTF-8.
        delimiter: of a text file, where it should not be guessed.
        **settings: any field of `textgauge.Config`, as in `textgauge.train`.

    Raises:
        SettingsError: a setting is unknown or has a value that cannot be used.
        TableError: the table cannot be read, or not be trained on.

    """
    config = Config.from_mapping(settings)
    found = open_table(table, config, NoProgress(), encoding=encoding, delimiter=delimiter)
    return Preview(found.config, found.check, found.corpus, found.learn_encoder())
