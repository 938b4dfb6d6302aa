"""What `textgauge export` shows."""

from __future__ import annotations

from ..exporting import Exported
from .tables import table


def exported_text(found: Exported) -> str:
    """Where the folder is, how to use it, and what 8 bits cost."""
    size = sum(found.files.values())
    blocks = [
        f"{found.folder}: {', '.join(found.files)}, {size:,} bytes in all.",
        f'Try it with numpy and onnxruntime only: python {found.folder / "predict.py"} "a text"',
    ]
    if found.int8 is not None:
        header, *rows = found.int8.table_rows()
        blocks += [table(header, rows), found.int8.sentence]
    return "\n\n".join(blocks)
