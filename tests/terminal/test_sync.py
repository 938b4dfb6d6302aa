"""What `textgauge sync` says in the end."""

from __future__ import annotations

from textgauge.terminal.sync import sync_text
from textgauge.tracking.sync import Synced

SENT = Synced("a1", "databricks", "b1", "https://page/b1")
LEFT = Synced("a2", "databricks", None, None, "Databricks does not answer.")
REFUSED = Synced("a3", "databricks", None, None, "There is no login to Databricks.")


def test_nothing_to_do_is_said() -> None:
    assert sync_text([], []) == "No run is waiting to be sent."


def test_each_run_has_its_page_or_its_problem() -> None:
    assert sync_text([SENT], []) == "a1: https://page/b1\n1 run sent whole."
    assert sync_text([SENT, SENT], []).endswith("\n2 runs sent whole.")
    assert sync_text([SENT, LEFT], []) == "a1: https://page/b1\na2: Databricks does not answer."


def test_refused_runs_are_named_with_the_way_to_send_them() -> None:
    assert sync_text([SENT], [REFUSED]) == (
        "a1: https://page/b1\n1 run sent whole.\n"
        "Not tried, because the server refused the run when it was trained:\n"
        "  a3: There is no login to Databricks.\n"
        "Once that is mended: textgauge sync RUN, with the run's id."
    )
