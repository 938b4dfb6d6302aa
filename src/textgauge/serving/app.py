"""The addresses: what is answered where."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ..installed import installed_version
from ..review.explanation import Explanation
from .batching import Batcher
from .faults import RefusedError
from .guard import App, Guard, Receive, Scope, Send
from .limits import Limits
from .messages import (
    HEALTH_SCHEMA,
    READY_SCHEMA,
    RESPONSE_SCHEMA,
    fault_responses,
    json_response,
    read_request,
    request_schema,
    response,
)
from .metrics import CONTENT_TYPE, Metrics
from .tables import score_csv
from .watching import ModelInUse

_PAGE = Path(__file__).parent / "page"
_LOOK = Path(__file__).parents[1] / "report" / "template" / "page.css"
"""The page looks as the report does."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Explain = Callable[[], tuple[Explanation, ...]]
_BUSY, _READ = (429, 503), (400, 408, 413, 422)
_Name = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


def make_app(
    in_use: ModelInUse,
    limits: Limits,
    metrics: Metrics,
    *,
    token: str | None = None,
) -> tuple[App, Batcher]:
    """The application as uvicorn runs it, and its queue, which is to be closed at the end.

    Args:
        in_use: the model.
        limits: what is refused.
        metrics: where things are counted.
        token: that clients must send; None: none.

    """
    batcher = Batcher(lambda: in_use.current, limits, metrics)
    app = FastAPI(
        title="textgauge",
        version=installed_version(),
        description="Decisions of a text classifier, and the words that moved them.",
        # FastAPI's own pages of documentation load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    _handle_faults(app)
    _add_predict(app, batcher, limits, locked=token is not None)
    _add_score(app, batcher, in_use, limits, metrics, locked=token is not None)
    _add_reports(app, in_use, limits, metrics, locked=token is not None)
    _add_page(app)
    if token is not None:
        _document_token(app)
    paths = {"/predict": limits.body_bytes, "/score": limits.table_bytes}
    others = ("/", "/page.css", "/page.js", "/health", "/ready", "/metrics", "/openapi.json")
    guard = Guard(
        app,
        paths={**paths, **dict.fromkeys(others, 0)},
        at_once={"/score": limits.tables},
        limits=limits,
        metrics=metrics,
        token=token,
    )
    return guard, batcher


def _json(values: Any) -> Response:
    body = json.dumps(values, allow_nan=False, separators=(",", ":"))
    return Response(body, media_type="application/json")


def _handle_faults(app: FastAPI) -> None:
    """Every refusal has one shape, whoever refuses."""

    async def of_ours(_: Request, fault: Exception) -> Response:
        assert isinstance(fault, RefusedError)
        headers = fault.headers
        return Response(fault.body, fault.status, headers, media_type="application/json")

    async def of_starlette(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            reason = "There is nothing at this address. /openapi.json tells what there is."
        elif error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            reason = f"This address takes {allowed}, not {request.method[:20]}."
        else:
            reason = str(error.detail)
        return await of_ours(request, RefusedError(error.status_code, reason, error.headers))

    async def of_fastapi(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        told = f"The parameter {first['loc'][-1]!r} cannot be used: {first['msg'].lower()}."
        return await of_ours(request, RefusedError(422, told))

    async def of_nobody(request: Request, error: Exception) -> Response:
        # The guard writes it to the log.
        return await of_ours(
            request, RefusedError(500, "The server made a mistake. Its log tells more.")
        )

    app.add_exception_handler(Exception, of_nobody)
    app.add_exception_handler(RefusedError, of_ours)
    app.add_exception_handler(HTTPException, of_starlette)
    app.add_exception_handler(RequestValidationError, of_fastapi)


def _refusals(locked: bool, *statuses: int) -> dict[int | str, dict[str, Any]]:
    return fault_responses(*((401,) if locked else ()), *statuses)


def _add_predict(app: FastAPI, batcher: Batcher, limits: Limits, *, locked: bool) -> None:
    content = {"application/json": {"schema": request_schema(limits)}}

    @app.post(
        "/predict",
        summary="Decide one text or many",
        responses={
            200: json_response("a prediction a text, in their order", RESPONSE_SCHEMA),
            **_refusals(locked, *_READ, *_BUSY),
        },
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )
    async def predict(request: Request) -> Response:
        asked = read_request(await request.body(), limits)
        model, answers = await batcher.predict(asked.texts)
        explanations: list[tuple[Explanation, ...]] | None = None
        if asked.explain:
            if model.explainer is None:
                raise RefusedError(
                    422,
                    "This model was saved without what explains its decisions; train it again, or "
                    'ask without "explain".',
                )
            explanations = []
            for text in asked.texts:
                # One at a time: between two of them, other requests have their turn.
                explain: Explain = lambda text=text: model.explain(text)  # type: ignore[misc]  # noqa: E731
                explanations.append(await batcher.run(explain))
        return _json(response(model, answers, explanations))


def _add_score(
    app: FastAPI,
    batcher: Batcher,
    in_use: ModelInUse,
    limits: Limits,
    metrics: Metrics,
    *,
    locked: bool,
) -> None:
    csv = {"text/csv": {"schema": {"type": "string"}}}

    @app.post(
        "/score",
        summary="Decide every row of a CSV file",
        description=(
            f"At most {limits.table_bytes:,} bytes. The answer is the table with the columns "
            "predicted_label, probability and decision; X-Textgauge-Rows and X-Textgauge-Review "
            "tell how many rows it has and how many of them a person has to decide, "
            "X-Textgauge-Warnings is a JSON list of sentences."
        ),
        responses={
            200: {"description": "the table with three columns more", "content": csv},
            **_refusals(locked, *_READ, *_BUSY),
        },
        openapi_extra={"requestBody": {"required": True, "content": csv}},
    )
    async def score(
        request: Request, text: _Name = None, delimiter: _Name = None, encoding: _Name = None
    ) -> Response:
        found = await score_csv(
            batcher,
            in_use.current,
            await request.body(),
            text=text,
            delimiter=delimiter,
            encoding=encoding,
        )
        metrics.scored_rows.inc(found.rows)
        headers = {
            "Content-Disposition": 'attachment; filename="scored.csv"',
            "X-Textgauge-Rows": str(found.rows),
            "X-Textgauge-Review": str(found.review),
            "X-Textgauge-Warnings": json.dumps(found.warnings),
        }
        return Response(found.csv, headers=headers, media_type="text/csv")


def _add_reports(
    app: FastAPI, in_use: ModelInUse, limits: Limits, metrics: Metrics, *, locked: bool
) -> None:
    told = dataclasses.asdict(limits)

    @app.get(
        "/health",
        summary="Whether the process lives",
        responses={200: json_response("it does", HEALTH_SCHEMA)},
    )
    async def health() -> Response:
        return _json({"alive": True})

    @app.get(
        "/ready",
        summary="Which model is at work",
        responses={200: json_response("the model", READY_SCHEMA), **_refusals(locked)},
    )
    async def ready() -> Response:
        return _json({**in_use.describe(), "limits": told})

    @app.get(
        "/metrics",
        summary="Figures for Prometheus",
        responses={
            200: {
                "description": "Prometheus' text format",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **_refusals(locked),
        },
    )
    async def figures() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _add_page(app: FastAPI) -> None:
    headers = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY"}
    for path, kind, files in (
        ("/", "text/html", [_PAGE / "index.html"]),
        ("/page.css", "text/css", [_LOOK, _PAGE / "page.css"]),
        ("/page.js", "text/javascript", [_PAGE / "page.js"]),
    ):
        body = b"".join(file.read_bytes() for file in files)
        page = _Static(Response(body, headers=headers, media_type=kind))
        app.add_route(path, page, methods=["GET"], include_in_schema=False)  # type: ignore[arg-type]


class _Static:
    """Answers with the same bytes every time."""

    def __init__(self, page: Response) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self._page(scope, receive, send)


def _document_token(app: FastAPI) -> None:
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document.setdefault("components", {})["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if path != "/health":
                    operation["security"] = [{"token": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
