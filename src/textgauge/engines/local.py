"""Everything in this process: the table, its texts and the training fit into one machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..data.checks import CheckReport, check_table
from ..data.corpus import Corpus, build_corpus
from ..data.tables import Columns, Table, read_table
from ..presets import settle
from ..text.learn import learn_encoder
from ..text.reader import TextReader
from .prepared import TableFacts
from .telling import tell_lacking_labels, tell_of_split, tell_problems

if TYPE_CHECKING:
    from ..training.checkpoints import Checkpoint
    from ..training.fit import Fitted
    from ..training.history import Epoch
    from ..training.progress import Progress


class LocalTable:
    """A table in memory; see `prepared.Prepared`."""

    workers = 1
    """See `Prepared.workers`."""

    def __init__(self, table: Table, config: Config, progress: Progress) -> None:
        """Check the table and cut it into parts. Raises TableError with all that is wrong."""
        self.facts = TableFacts(
            table.name,
            {name: str(kind) for name, kind in table.frame.schema.items() if name != "row"},
            len(table.frame),
        )
        progress.stage("checking")
        self.check: CheckReport = check_table(
            table,
            label_names=config.label_names,
            fractions=config.fractions,
            separator=config.separator,
        )
        tell_problems(self.check, progress)
        progress.stage("splitting")
        self.corpus: Corpus = build_corpus(
            table.frame,
            seed=config.seed,
            fractions=config.fractions,
            distinct=config.distinct,
            separator=config.separator,
        )
        tell_of_split(self.corpus, progress)
        self.check = tell_lacking_labels(self.corpus, self.check, progress)
        self.config, told = settle(config, self.corpus)
        if told is not None:
            progress.note(told)

    def learn_encoder(self) -> TextReader:
        """See `Prepared.learn_encoder`."""
        return learn_encoder(self.corpus.train.texts, self.config)

    def fit(
        self,
        encoder: TextReader,
        *,
        progress: Progress,
        on_epoch: Callable[[Epoch], None],
        on_checkpoint: Callable[[Checkpoint], None],
        start_from: Checkpoint | None,
    ) -> Fitted:
        """See `Prepared.fit`."""
        from ..training.fit import fit

        return fit(
            self.corpus,
            encoder,
            self.config,
            progress=progress,
            on_epoch=on_epoch,
            on_checkpoint=on_checkpoint,
            start_from=start_from,
        )


def open_table(
    source: Any,
    config: Config,
    progress: Progress,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> LocalTable:
    """Read a table and prepare it. Raises TableError and ColumnError."""
    progress.stage("reading")
    table = read_table(
        source,
        columns_of(config),
        encoding=encoding,
        delimiter=delimiter,
        separator=config.separator,
    )
    return LocalTable(table, config, progress)


def columns_of(config: Config) -> Columns:
    """The columns that a configuration asks for."""
    return Columns(
        text=config.text,
        label=config.label,
        split=config.split_column,
        group=config.group_column,
        time=config.time_column,
        slice=config.slice_column,
    )
