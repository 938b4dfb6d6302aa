"""What a table that cannot be read is told."""

import pytest

from textgauge.data.tables import read_table
from textgauge.errors import TableError


def refused(source, kind=TableError, columns=None, **options):
    """The message of the error that reading `source` ends in."""
    with pytest.raises(kind) as error:
        read_table(source, columns, **options)
    assert type(error.value) is kind
    return str(error.value)
