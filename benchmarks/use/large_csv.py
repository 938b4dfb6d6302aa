"""Score a CSV file of gigabytes that has two broken rows in its middle.

    python benchmarks/use/large_csv.py --model MODEL --folder DIR [--gigabytes 5.4]

Makes DIR/large.csv of component notes, scores it to DIR/large.scored.parquet as the command
`textgauge score` does, in a process of its own, and prints seconds, peak memory and the rows that
could not be read: one with an open quote and one with a cell too many. Both files are deleted in
the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from score import SCORE

from textgauge.data.component_notes import make_component_notes

NOTES = 100_000  # rows that repeat themselves, each with a number of its own
BROKEN = b'0,"an open quote\n0,steel component,a cell too many\n'


def main() -> None:
    """Make the file, score it, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a saved model")
    parser.add_argument("--folder", type=Path, required=True, help="with room for twice the file")
    parser.add_argument("--gigabytes", type=float, default=5.4, help="of 1,000,000,000 bytes")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table, out = options.folder / "large.csv", options.folder / "large.scored.parquet"
    unreadable = out.with_name(f"{out.name}.unreadable.jsonl")
    try:
        rows = write_large(table, int(options.gigabytes * 1e9))
        told = score(options.model, table, out)
        print("| bytes | rows | scored | could not be read | seconds | peak MB |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: |")
        print(
            f"| {table.stat().st_size:,} | {rows:,} | {told['rows']:,} | {told['unreadable_rows']} "
            f"| {told['seconds']:.0f} | {told['peak_mb']:,.0f} |\n"
        )
        for line in unreadable.read_text().splitlines():
            row = json.loads(line)
            print(f"line {row['line']:,}: {row['reason']}: {row['content']}")
    finally:
        for path in (table, out, unreadable):
            path.unlink(missing_ok=True)


def write_large(table: Path, size: int) -> int:
    """Write a CSV file of about so many bytes; return its rows, the broken ones included."""
    notes = make_component_notes(NOTES)["text"].to_list()
    rows, broken = 0, False
    with table.open("wb") as file:
        written = file.write(b"id,text\n")
        while written < size:
            lines = (f"{rows + number},{note}\n" for number, note in enumerate(notes))
            written += file.write("".join(lines).encode())
            rows += NOTES
            if not broken and written >= size / 2:
                written, rows, broken = written + file.write(BROKEN), rows + 2, True
    return rows


def score(model: str, table: Path, out: Path) -> dict[str, float]:
    """What the command tells, and the peak of its memory in MB of 2**20 bytes."""
    command = [sys.executable, "-c", SCORE, model, str(table), str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"failed: {table} was not scored")
    told: dict[str, float] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    main()
