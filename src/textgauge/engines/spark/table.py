"""A table on a cluster, prepared for a training run; see `engines.prepared`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import Config
from ...data.columns import demand
from ...data.split import TRAIN, VAL
from ...errors import EngineError, SettingsError
from ...text.reader import TextReader
from ..local import columns_of
from ..prepared import TableFacts
from ..telling import tell_lacking_labels, tell_of_split, tell_problems
from .checking import check_table
from .corpus import build_corpus
from .counting import UNITS, Reading, count_pairs, describe_pairs
from .executors import has_gpus, slots_of
from .frames import written
from .jobs import run_explained
from .learning import learn_encoder
from .shards import ShardsOnDisk, write_shards
from .tables import SparkTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ...training.checkpoints import Checkpoint
    from ...training.fit import Fitted
    from ...training.history import Epoch
    from ...training.progress import Progress


TEXTS_A_WORKER = 100_000
"""Distinct training texts from which on a further worker is worth its start."""


class ClusterTable:
    """A table whose texts stay on the cluster."""

    def __init__(
        self,
        spark: SparkSession,
        table: SparkTable,
        config: Config,
        progress: Progress,
        *,
        folder: Path,
        workers: int | None = None,
    ) -> None:
        """Check the table and cut it into parts.

        Args:
            spark: the session.
            table: with the columns that `config` names.
            config: the settings.
            progress: is told how far it is.
            folder: a new one, which driver and executors see under the same path.
            workers: processes that will train together; None: by the number of texts and slots.

        Raises:
            TableError: with all that is wrong.
            SettingsError: a setting that this engine does not have.

        """
        if not config.distinct:
            raise SettingsError(
                "--every-row trains on one machine alone: leave it or --engine spark out."
            )
        if config.slice_column is not None:
            raise SettingsError(
                "--slice needs every row of the test part on one machine: leave it or --engine "
                "spark out. Afterwards, textgauge evaluate MODEL TABLE --slice "
                f"{config.slice_column} tells the same of a table that one machine can read."
            )
        self._spark, self.config, self._folder = spark, config, folder
        wanted = columns_of(config).wanted()
        demand(wanted, table.columns, table.name, ())
        rows = table.rows().select(*(_named(column, role) for role, column in wanted.items()))
        progress.stage("checking")
        reading = Reading.of(rows, table.name)
        pairs = written(count_pairs(rows, reading), folder / "pairs")
        described = describe_pairs(pairs, in_units=bool(set(UNITS) & set(rows.columns)))
        self.check, count = check_table(rows, reading, described, config)
        self.facts = TableFacts(table.name, dict(rows.dtypes), count)
        tell_problems(self.check, progress)
        progress.stage("splitting")
        self._texts = build_corpus(pairs, config, folder)
        self.corpus = self._texts.corpus
        tell_of_split(self.corpus, progress)
        self.check = tell_lacking_labels(self.corpus, self.check, progress)
        wanted_workers = -(-self.corpus.sizes["train"].texts // TEXTS_A_WORKER)
        self.workers = workers or max(1, min(wanted_workers, slots_of(spark) or 1))

    def learn_encoder(self) -> TextReader:
        """See `Prepared.learn_encoder`."""
        return run_explained(
            self._spark,
            "textgauge: vocabulary and numbers",
            self.facts.name,
            lambda: learn_encoder(self._texts.part(TRAIN), self.config, self._folder),
        )

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
        from ...training.batches import EncodedTexts
        from ...training.calibration import calibrate
        from ...training.fit import Fitted, label_weights, new_model, plan_of
        from ...training.loop import Trained
        from .training import CHECKPOINT, EVERY, Assignment, run_workers

        config, classes = self.config, len(self.corpus.classes)
        gpu = config.device != "cpu" and has_gpus(self._spark)
        if config.device == "cuda" and not gpu:
            raise EngineError(
                "device is 'cuda', but Spark gives tasks no GPU: set "
                "spark.task.resource.gpu.amount, or pass --device cpu."
            )
        model, architecture, vectors = new_model(encoder, config, classes, progress)
        if config.refit:
            raise EngineError(
                "--refit is not for Spark: leave it out, or train here with --engine local."
            )
        progress.stage("writing shards")
        train, val = run_explained(
            self._spark,
            "textgauge: writing shards",
            self.facts.name,
            lambda: (self._write(TRAIN, encoder), self._write(VAL, encoder)),
        )
        training = self._folder / "training"
        training.mkdir(parents=True, exist_ok=True)
        first_weights = None
        if vectors is not None:
            from safetensors.torch import save_file

            first_weights = str(training / "first.safetensors")
            save_file(dict(model.state_dict()), first_weights)
        identity = hashlib.sha256(
            json.dumps([config.to_json(), self.corpus.digest], sort_keys=True).encode()
        ).hexdigest()
        if start_from is not None:
            start_from.save(training / CHECKPOINT, identity)

        def after_epoch(epoch: Epoch) -> None:
            progress.epoch(epoch)
            on_epoch(epoch)

        several = f"{self.workers} workers" if self.workers > 1 else "one worker"
        progress.stage(f"training on {several}")
        sizes = {name: value for name, value in architecture.items() if name != "name"}
        state, batch_size = run_workers(
            self._spark,
            Assignment(
                folder=str(training.absolute()),
                model=config.model,
                sizes=sizes,
                train=train.to_json(),
                val=val.to_json(),
                plan=vars(plan_of(config)),
                threads=config.whole("threads"),
                gpu=gpu,
                identity=identity,
                every=EVERY,
                vectors=first_weights,
                freeze=config.freeze_vectors,
            ),
            self.workers,
            begin_after=0 if start_from is None else len(start_from.history),
            on_epoch=after_epoch,
            on_checkpoint=on_checkpoint,
            on_note=progress.warn,
        )
        model.load_state_dict(dict(state.best_weights))
        model.eval()
        trained = Trained(state.history, batch_size)
        held = self.corpus.val
        encoded = EncodedTexts(encoder.encode_normalised(held.texts), held, classes)
        rows = np.array(self._texts.label_rows[TRAIN], dtype=np.int64)
        weights = label_weights(config, rows)
        found = calibrate(model, encoded, weights)
        return Fitted(model, encoder, architecture, trained, vectors, classes, found)

    def _write(self, part: int, encoder: TextReader) -> ShardsOnDisk:
        name = ("train", "val", "test")[part]
        size = self.corpus.sizes[name]
        return write_shards(
            self._texts.part(part),
            encoder,
            self.corpus.classes,
            self._folder / f"{name}-shards",
            seed=self.config.seed,
            size=(size.texts, size.rows),
            label_rows=self._texts.label_rows[part],
            workers=self.workers,
        )


def _named(column: str, role: str) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    return F.col(f"`{column}`").alias(role)
