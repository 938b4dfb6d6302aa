"""Files for the tests of reading."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Write a file into a folder of the test's own; give its path."""

    def write_file(content, name="notes.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file
