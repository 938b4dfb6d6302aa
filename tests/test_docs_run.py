"""The messages of the FAQ are what the commands say, and what the pages say to do does work."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import combinations
from pathlib import Path

import pandas
import polars as pl
import pytest
import torch
from doc_pages import PAGES, blocks, lines_of, python_of, shell, with_what_is_there
from e2e import SMALL, SMALL_SETTINGS, Done, FinishedRun, PeersHere, Quick, clean_environment, notes
from served import Served

import textgauge
from textgauge.data.component_notes import make_component_notes
from textgauge.errors import TrackingError
from textgauge.tracking.failures import explain_server
from textgauge.tracking.sqlite_store import _check_folder

pytest_plugins = ["e2e_fixtures"]

FAQ = PAGES["docs/faq.md"]
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


# ---- the commands of the pages -------------------------------------------------------------------

TINY = ("--epochs", "2", "--embedding-size", "16")

ELSEWHERE = re.compile(r"textgauge (register|serve) |curl |> token|--model encoder|/\.cache/")
"""Has tests of its own: `serve` and its requests, below; `register`; the encoder's page."""

REFERENCE = "docs/reference/commands.md"


def lines_to_run(page: str) -> list[str]:
    """The lines of a page, in order; what the reference trains, the other pages train, too."""
    lines = [line for line in lines_of(page) if not ELSEWHERE.search(line)]
    trains = re.compile(r"textgauge (train|compare|demo)\b")
    return [line for line in lines if page != REFERENCE or not trains.match(line)]


def python_to_run(page: str) -> list[str]:
    """The blocks of a page, in order, but for those that have tests of their own, as above."""
    elsewhere = re.compile(r"mlflow|127\.0\.0\.1|textgauge\.(compare|register)")
    return [block for block in python_of(page) if not elsewhere.search(block)]


def notes_of_sets() -> pl.DataFrame:
    """Texts with any number of labels, decided by their words."""
    labels = {"iron": "metal", "plastic": "polymer", "rust": "defect", "old": "age"}
    sets = [words for size in range(4) for words in combinations(labels, size)]
    rows = [
        (f"part {' '.join(words)} {n}", "|".join(labels[word] for word in words))
        for words in sets
        for n in range(12)
    ]
    return pl.DataFrame(rows, schema=["text", "label"], orient="row")


@pytest.fixture
def files_of(
    tables: Path, finished: FinishedRun, new_store: Callable[[Path], Path]
) -> Callable[[str], None]:
    """Make the files that a page speaks of, in the working folder; the finished run is there."""

    def make(page: str) -> None:
        new_store(tables)
        made = make_component_notes(300)
        doubted = made.head(5).with_columns(pl.col("label").replace({"0": "1", "1": "0"}))
        table = pl.concat([made, made.head(5), made.head(5), doubted])
        table = table.with_columns(note="text", verdict="label", vehicle=pl.col("year") % 50)
        if page.endswith("decide.md"):
            table = table.with_columns(pl.col("verdict").replace({"0": "good", "1": "bad"}))
        if page.endswith("multi-label.md"):
            table = notes_of_sets()
        for folder in ("notes", "moved"):
            Path(folder).mkdir()
        names = "notes all_notes new newer newer_notes old catalogue parts labelled notes/2026-01"
        for name in names.split():
            table.write_csv(f"{name}.csv")
        table.write_parquet("catalogue.parquet")
        shutil.copy(finished.table, "moved")
        Path("texts.txt").write_text("iron component\nsteel component of 1999\n")
        vectors = "".join(f"{word}{' 0.5' * 100}\n" for word in ("steel", "iron"))
        for name in ("glove.txt", "glove.6B.100d.txt"):
            Path(name).write_text(vectors)
        for block in blocks(page, "toml"):
            Path(block.splitlines()[0].split()[-1]).write_text(block, encoding="utf-8")

    return make


def correct_labels(quick: Quick) -> None:
    """Fill in the list of the last training as its suggestions say."""
    files = dict(value for kind, value in quick.tracker.told if kind == "artifact")
    listed = pl.read_csv(files["label_issues.csv"], infer_schema=False)
    assert len(listed), "no label is in doubt"
    listed.with_columns(corrected_label="suggested_label").write_csv("label_issues.csv")


def interrupt(quick: Quick, command: Callable[..., Done]) -> str:
    """Break a training off after its first epoch; gives the run's id."""
    quick.fail_after = 1
    done = command("train", "notes.csv", *SMALL, "--quiet")
    quick.fail_after = None
    assert "the store went away" in done.error
    return quick.tracker.run_id


def made_small(words: list[str]) -> list[str]:
    """The arguments of a command, with further ones that leave it little to do."""
    match words[0]:
        case "train":
            return [*words, *(TINY if "bag" in words else SMALL), "--quiet"]
        case "compare":
            return [*words, *TINY, "--models", "bag", "--trials", "1", "--quiet"]
        case "demo":
            return [*words, "--rows", "300"]
        case "score":
            return [*words, "--overwrite"]
    return words


@pytest.mark.parametrize("page", [page for page in PAGES if lines_to_run(page)])
def test_the_commands_of_a_page_do_work(
    page: str,
    files_of: Callable[[str], None],
    finished: FinishedRun,
    quick: Quick,
    command: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As they stand there, in order; trainings are small ones.

    Not run are lines that need a cloud or a cluster, Docker, a database's server, the network, a
    browser or a fresh clone of the repository (`doc_pages.FAR`).
    """
    monkeypatch.setattr("textgauge.review.peers.start", PeersHere)
    files_of(page)
    for written in lines_to_run(page):
        if "--fix" in written:
            correct_labels(quick)
        run_id = interrupt(quick, command) if "--resume" in written else finished.run_id
        line = with_what_is_there(written, run_id)
        words = shlex.split(line, comments=True)
        if words[0] == "textgauge" and "|" not in words:
            if words[1] == "train" and "--out" in words:
                shutil.rmtree("model")
            done = command(*made_small(words[1:]))
        else:
            done = shell(line)
        assert done.status == 0, f"{line}\n{done.err}"


@pytest.mark.parametrize("page", [page for page in PAGES if python_to_run(page)])
def test_the_python_of_a_page_does_work(
    page: str,
    files_of: Callable[[str], None],
    finished: FinishedRun,
    quick: Quick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Block after block, with what the ones before left; trainings are small ones."""
    files_of(page)
    monkeypatch.setattr(textgauge, "train", partial(textgauge.train, **SMALL_SETTINGS))
    texts = [f"{text} {n}" for n in range(20) for text in ("part crack iron", "part", "old part")]
    known = {"textgauge": textgauge, "pandas": pandas, "texts": texts, "labels": [1, 0, 0] * 20}
    for written in python_to_run(page):
        block = with_what_is_there(written, finished.run_id).replace(", ...]", "] * 20")
        exec(compile(block, page, "exec"), known)


def test_the_python_for_mlflow_alone_does_work(
    files_of: Callable[[str], None], finished: FinishedRun
) -> None:
    """That of all pages in one process."""
    files_of("docs/how-to/predict.md")
    found = [block for page in PAGES for block in python_of(page) if "mlflow" in block]
    script = "import pandas\ntable = pandas.DataFrame({'text': ['iron component']})\n"
    script += with_what_is_there("\n".join(found), finished.run_id).replace('"note"', '"text"')
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean_environment(), capture_output=True, check=False
    )
    assert (done.returncode, len(found)) == (0, 3), done.stderr.decode()


def test_a_server_answers_the_requests_of_its_page(
    files_of: Callable[[str], None],
    finished: FinishedRun,
    tables: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Line after line, on a free port; where there is no curl the block of Python asks alone."""
    page, url = "docs/how-to/serve.md", "http://127.0.0.1:8000"
    files_of(page)
    (asks,) = python_of(page)
    servers: list[Served] = []
    with ExitStack() as at_the_end:
        for written in lines_of(page):
            line = with_what_is_there(written, finished.run_id)
            if line.startswith("textgauge serve"):
                servers.append(Served(*shlex.split(line)[2:], cwd=tables))
                at_the_end.callback(servers[-1].end)
            elif line.startswith("python") or shutil.which("curl"):
                at = servers[-1].url if servers else url
                line = line.replace("curl ", "curl --fail --silent --show-error ", 1)
                done = shell(line.replace(url, at))
                assert done.status == 0, f"{line}\n{done.err}"
        exec(asks.replace(url, servers[0].url), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert len(servers) == 2
    if shutil.which("curl"):
        assert pl.read_csv("scored.csv")["decision"].null_count() == 0
