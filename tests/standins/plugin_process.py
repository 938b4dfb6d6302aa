"""A process in which a test runs MLflow, piece by piece, against a stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any, Self

_LOOP = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
names = {}
for line in sys.stdin:
    try:
        exec(json.loads(line), names)
        answer = {"value": names.pop("answer", None)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
"""


class RemoteError(Exception):
    """What a script raised, as "ItsType: its message"."""


class PluginProcess:
    """Python with the given variables; what a script defines is there for the next one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _LOOP],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, script: str, **given: Any) -> Any:
        """Give what `script` assigned to `answer`; it finds `given` as variables.

        Raises RemoteError if it raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        values = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        print(json.dumps(values + textwrap.dedent(script)), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RemoteError(f"The process ended with code {self._process.wait()}.")
        answer = json.loads(line)
        if "error" in answer:
            raise RemoteError(answer["error"])
        return answer["value"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:
            pass
