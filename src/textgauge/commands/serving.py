"""`serve`: a saved model behind HTTP."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

from ..errors import SettingsError
from ..serving.limits import Limits
from .shared import print_json, tracking_uri_of

TOKEN_VARIABLE = "TEXTGAUGE_TOKEN"
_LOOPBACK = ("127.", "::1", "localhost")


def serve(options: argparse.Namespace) -> int:
    """Answer requests until the process is told to end."""
    from ..serving.server import serve

    limits = _limits_of(options)
    token = _token_of(options.token_file)

    def say(told: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {told}", file=sys.stderr, flush=True)

    def ready(url: str) -> None:
        if options.json:
            print_json({"url": url, "pid": os.getpid()})
            sys.stdout.flush()
        else:
            print(f"{options.model} is served at {url} (Ctrl-C ends it)", flush=True)

    if token is None and not options.host.startswith(_LOOPBACK):
        say(
            f"warning: whoever reaches {options.host} may ask; a token keeps others out "
            "(--token-file)."
        )
    serve(
        options.model,
        tracking_uri=tracking_uri_of(options),
        host=options.host,
        port=options.port,
        token=token,
        limits=limits,
        watch=options.watch,
        cores=options.cores,
        say=say if not options.quiet else lambda told: None,
        ready=ready,
    )
    return 0


def _limits_of(options: argparse.Namespace) -> Limits:
    names = {field.name for field in dataclasses.fields(Limits)}
    given = {name: value for name, value in vars(options).items() if name in names}
    return Limits(**given)


def _token_of(file: Path | None) -> str | None:
    """The token of a file or of the environment; it is printed nowhere."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        where = TOKEN_VARIABLE
        if not token:
            return None
    else:
        try:
            token, where = file.read_text(encoding="utf-8").strip(), str(file)
        except (OSError, UnicodeError) as error:
            raise SettingsError(f"--token-file {file} cannot be read: {error}.") from None
    if not token or not token.isascii() or any(c.isspace() or not c.isprintable() for c in token):
        raise SettingsError(
            f"the token in {where} must be one word in ASCII. Make one: "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token
