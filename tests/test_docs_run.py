"""The messages of the FAQ are what the commands say, and the how-to pages' commands do work."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from e2e import SMALL, Done, FinishedRun, Quick, notes

from textgauge.errors import TrackingError
from textgauge.tracking.failures import explain_server
from textgauge.tracking.sqlite_store import _check_folder

pytest_plugins = ["e2e_fixtures"]

DOCS = Path(__file__).resolve().parents[1] / "docs"
FAQ = (DOCS / "faq.md").read_text(encoding="utf-8")
MESSAGES = [
    message.strip()
    for message in re.findall(r"```text\n(.*?)```", FAQ, flags=re.DOTALL)
    if "mlflow.example.com" not in message and "Permission denied" not in message
]
"""Those that a command gives; the other two are those of a server and of a folder's rights."""

MADE_BY = {
    "own.csv has no": "check own.csv",
    "the columns are separated": "check semi.csv",
    "latin.csv is not": "check latin.csv",
    "one.csv: every": "train one.csv",
    "few.csv: labels": "train few.csv",
    "unrecognized arguments": "train notes.csv --epoch 3",
    "wrong.toml has": "train notes.csv --config wrong.toml",
    "scored.csv is there": "score model notes.csv --out scored.csv",
    "model is not empty": "train notes.csv --out model",
    "The model mdoel": "score mdoel notes.csv --out new.csv",
    "there are no word vectors": "train notes.csv --vectors glove.txt",
    "--cost false-iron": "train notes.csv --cost false-iron=3",
    "There are no runs": "ui",
    "there is no checkpoint": "train notes.csv --resume abc",
    "device is 'cuda'": "train notes.csv --device cuda",
}


@pytest.fixture
def tables(workplace: Path, finished: FinishedRun) -> Path:
    """A folder with the tables that the pages speak of, and a model of the finished run."""
    frame = notes()
    frame.write_csv("notes.csv")
    own = frame.rename({"text": "note", "label": "verdict"})
    own.head(20).write_csv("own.csv")
    rows = "".join(f"Teil {n}, alt;gut\nTeil {n}, neu;schlecht\n" for n in range(9))
    Path("semi.csv").write_text(f"text;label\n{rows}")
    Path("latin.csv").write_bytes("text,label\nTür klemmt,1\n".encode("cp1252"))
    Path("one.csv").write_text("text,label\n" + "".join(f"bolt {n},ok\n" for n in range(9)))
    Path("few.csv").write_text("text,label\na b,0\nc d,1\n")
    Path("wrong.toml").write_text("epoch = 5\n")
    Path("scored.csv").touch()
    shutil.copytree(finished.bundle, "model")
    return workplace


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message[:24])
def test_a_message_of_the_faq_is_what_its_command_says(
    message: str,
    tables: Path,
    quick: Quick,
    command: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "'cuda'" in message:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.version, "cuda", None)
        message = message.replace("2.13.0+cpu", torch.__version__)
    (line,) = [line for start, line in MADE_BY.items() if message.startswith(start)]
    done = command(*shlex.split(line))
    said = " ".join((done.out + done.err).split())
    assert message.replace("/home/me/notes", str(tables)) in said


def test_the_faqs_messages_of_a_proxy_and_of_a_shut_folder_are_what_is_said() -> None:
    title = "the tracking server https://mlflow.example.com"
    assert explain_server(RuntimeError("Unable to connect to proxy"), title) in FAQ
    with pytest.raises(TrackingError) as caught:
        _check_folder(Path("/proc"))  # In which nobody can make a file.
    said = str(caught.value).replace("folder /proc", "folder /home/me/notes")
    assert re.sub(r"\(.*?\)", "(Permission denied)", said) in FAQ


@pytest.mark.parametrize("page", ["own-table", "explain", "decide", "keep-running"])
def test_the_commands_of_a_page_do_work(
    page: str, tables: Path, quick: Quick, command: Callable[..., Done]
) -> None:
    """But for `register`, which has tests of its own; trainings are small ones."""
    own = notes().with_columns(note=pl.col("text"), verdict=pl.col("label"))
    if page == "decide":
        own = own.with_columns(pl.col("verdict").replace({"0": "good", "1": "bad"}))
    for name in ("notes.csv", "all_notes.csv", "new.csv", "newer.csv"):
        own.write_csv(name)
    text = (DOCS / "how-to" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```sh\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    settings = re.search(r"```toml\n# (textgauge train \S+ --config (\S+))\n(.*?)```", text, re.S)
    if settings:
        Path(settings[2]).write_text(settings[3], encoding="utf-8")
        lines.append(settings[1])
    assert lines
    for line in lines:
        words = shlex.split(line.replace("models:/notes@champion", "model"))[1:]
        if words[0] == "register":
            continue
        if words[0] == "train":
            words += [*SMALL, "--quiet"]
        if words[0] == "score":
            words += ["--overwrite"]
        if "--out" in words and words[0] == "train":
            shutil.rmtree("model")
        done = command(*words)
        assert done.status == 0, f"{line}\n{done.err}"
