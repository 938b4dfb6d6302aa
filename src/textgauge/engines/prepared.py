"""A table that is checked and cut into parts, wherever its texts are: what a run works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..config import Config
from ..data.checks import CheckReport
from ..data.corpus import Corpus
from ..text.reader import TextReader

if TYPE_CHECKING:
    from ..training.checkpoints import Checkpoint
    from ..training.fit import Fitted
    from ..training.history import Epoch
    from ..training.progress import Progress


@dataclass(frozen=True)
class TableFacts:
    """What a run says of its table.

    Attributes:
        name: "notes.csv", "main.lab.notes", "DataFrame".
        schema: types of the columns that were read, as the engine calls them.
        rows: how many.
    """

    name: str
    schema: Mapping[str, str]
    rows: int


class Prepared(Protocol):
    """A table of one training run."""

    @property
    def facts(self) -> TableFacts:
        """The table itself."""

    @property
    def check(self) -> CheckReport:
        """What was found in it."""

    @property
    def corpus(self) -> Corpus:
        """Its distinct texts, or samples of them (see `Corpus`)."""

    @property
    def config(self) -> Config:
        """The settings, the preset replaced by what it chose."""

    @property
    def workers(self) -> int:
        """Processes that train together. With one, every engine gives the same weights."""

    def learn_encoder(self) -> TextReader:
        """Vocabulary and number scale, from all training texts. Called once, before `fit`."""

    def fit(
        self,
        encoder: TextReader,
        *,
        progress: Progress,
        on_epoch: Callable[[Epoch], None],
        on_checkpoint: Callable[[Checkpoint], None],
        start_from: Checkpoint | None,
    ) -> Fitted:
        """Train on all training texts, stopping by the validation part.

        Args:
            encoder: what `learn_encoder` gave.
            progress: is told how far it is.
            on_epoch: called after each epoch; what it raises ends the training.
            on_checkpoint: called with a state to go on from, after an epoch and before `on_epoch`;
                at least now and then.
            start_from: such a state.
        """
