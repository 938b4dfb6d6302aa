"""What the batch deployment does with each table: the command `textgauge score`.

Azure ML calls `init` once in each process, then `run` with the paths of some tables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def init() -> None:
    """Find out at the start whether there is a model. Raises FileNotFoundError otherwise."""
    model_folder()


def run(mini_batch: list[str]) -> list[str]:
    """Score the tables; returns their paths, one for each that is done, as Azure ML asks for.

    `notes.csv` becomes `notes.csv.scored.parquet` in the job's output. Whatever is wrong with a
    table stands in the job's log, in the command's own words.

    Raises:
        CalledProcessError: a table cannot be scored.
        FileExistsError: two tables, of different folders, have the same name.

    """
    model, out = model_folder(), Path(os.environ["AZUREML_BI_OUTPUT_PATH"])
    for table in map(Path, mini_batch):
        target = out / f"{table.name}.scored.parquet"
        if target.exists():
            raise FileExistsError(f"{target} is there already; give each table a name of its own.")
        # The output is a mounted folder, where the command could not put its file into place.
        with tempfile.TemporaryDirectory() as local:
            scored = Path(local) / target.name
            command = ["textgauge", "score", str(model), str(table), "--out", str(scored)]
            subprocess.run(command, check=True)
            shutil.copyfile(scored, target)
    return list(mini_batch)


def model_folder() -> Path:
    """The saved model's folder, at whatever depth it lies in the one that Azure ML names."""
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(root.rglob("textgauge.json"))
    if len(found) != 1:
        raise FileNotFoundError(f"{root} holds {len(found)} models of textgauge, and not one.")
    return found[0].parent
