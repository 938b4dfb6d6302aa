"""What is asked and answered, as JSON and in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..review.explanation import Explanation
from .faults import KINDS, RefusedError
from .limits import Limits
from .model import Answer, ServedModel


class _Body(BaseModel):
    """The body of POST /predict, before its limits are looked at."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    text: str | None = None
    texts: list[str] | None = None
    explain: bool = False


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    texts: list[str]
    explain: bool


def read_request(body: bytes, limits: Limits) -> Asked:
    """The texts of a body.

    Raises:
        RefusedError: 400 where it is no JSON, 422 where it asks for what is not allowed.

    """
    try:
        asked = _Body.model_validate_json(body)
    except ValidationError as error:
        raise _fault_of(error) from None
    given = asked.model_fields_set - {"explain"}
    if given not in ({"text"}, {"texts"}):
        both = "it has both" if given else "it has neither"
        raise RefusedError(422, f'The body needs "text" or "texts"; {both}. {_EXAMPLE}')
    texts = [asked.text] if given == {"text"} else asked.texts
    if texts is None or texts == [None]:
        raise RefusedError(422, f'"{next(iter(given))}" must not be null. {_EXAMPLE}')
    if not texts:
        raise RefusedError(422, f'"texts" is empty. {_EXAMPLE}')
    most = limits.explained if asked.explain else limits.texts
    if len(texts) > most:
        what = "texts with explanations" if asked.explain else "texts"
        raise RefusedError(
            422, f"{len(texts):,} {what} in one request; {most:,} are allowed. Send them in parts."
        )
    for at, text in enumerate(texts):
        assert text is not None
        if len(text) > limits.characters:
            where = f'"texts" at place {at}' if given == {"texts"} else '"text"'
            raise RefusedError(
                422,
                f"{where} has {len(text):,} characters; {limits.characters:,} are allowed. Shorten "
                "it: the model reads the first words only.",
            )
    return Asked([text for text in texts if text is not None], asked.explain)


_EXAMPLE = 'Send {"text": "…"} or {"texts": ["…", "…"]}, and "explain": true if it is wanted.'

_WRONG = {
    "bool_type": "must be true or false",
    "extra_forbidden": "unknown key",
    "list_type": "must be a list of texts",
    "model_type": "must be an object",
    "string_type": "must be a text",
}
"""What is wrong, by the name that pydantic has for it."""


def _fault_of(error: ValidationError) -> RefusedError:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    if problems[0]["type"] == "json_invalid":
        told = problems[0]["msg"].removeprefix("Invalid JSON: ")
        return RefusedError(400, f"The body is not JSON in UTF-8 ({told}). {_EXAMPLE}")
    # One a place; the first few, since a list of a thousand numbers has a thousand faults.
    told = "; ".join(
        f"{_place(each['loc'])}: {_WRONG.get(each['type']) or each['msg'].lower()}"
        for each in problems[:3]
    )
    more = f" (and {len(problems) - 3:,} more)" if len(problems) > 3 else ""
    return RefusedError(422, f"{told}{more}. {_EXAMPLE}")


def _place(location: tuple[int | str, ...]) -> str:
    if not location:
        return "the body"
    name, *at = location
    return f'"{str(name)[:40]}"' + (f" at place {at[0]}" if at else "")


def response(
    model: ServedModel,
    answers: Iterable[Answer],
    explanations: list[tuple[Explanation, ...]] | None,
) -> dict[str, Any]:
    """The answer of POST /predict."""
    told = []
    for at, answer in enumerate(answers):
        each = {
            "label": answer.label,
            "probability": answer.probability,
            "decision": answer.decision,
            "certainty": answer.certainty,
            "probabilities": dict(zip(model.predictor.classes, answer.probabilities, strict=True)),
            "tokens": answer.tokens,
            "unknown_tokens": answer.unknown,
            "number_outside_range": answer.outside,
        }
        if answer.labels is not None:
            each["labels"] = list(answer.labels)
        if explanations is not None:
            own = [_explained(found.to_json()) for found in explanations[at]]
            if answer.labels is None:
                (each["explanation"],) = own
            else:
                each["explanations"] = own
        told.append(each)
    return {"model": {"address": model.address, "version": model.version}, "predictions": told}


def _explained(found: dict[str, Any]) -> dict[str, Any]:
    names = ["label", "reference", "words"]
    if "decided" in found:
        names[1:1] = ["decided", "probability"]
    return {name: found[name] for name in names}


# ---- the OpenAPI document ------------------------------------------------------------------------

_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT = {"type": "integer", "minimum": 0}
_STRING = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_OPTIONAL_SHARE = {"anyOf": [_SHARE, {"type": "null"}]}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Any:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def request_schema(limits: Limits) -> dict[str, Any]:
    """What POST /predict takes, with these limits."""
    text = {"type": "string", "maxLength": limits.characters}

    def many(most: int) -> dict[str, Any]:
        return {"type": "array", "items": text, "minItems": 1, "maxItems": most}

    explain = {"type": "boolean", "description": "tell which words moved each decision, too"}
    return {
        "oneOf": [
            {"title": "one text", **_object({"text": text}, {"explain": explain})},
            {
                "title": "many texts",
                **_object({"texts": many(limits.texts)}, {"explain": {"const": False}}),
            },
            {
                "title": "many texts, explained",
                **_object({"texts": many(limits.explained), "explain": {"const": True}}),
            },
        ],
        "examples": [{"text": "steel component manufactured in 1999", "explain": True}],
    }


_WORDS = {
    "type": "array",
    "items": _object({"word": _STRING, "contribution": {"type": "number"}}),
}

PREDICTION_SCHEMA = _object(
    {
        "label": _STRING,
        "probability": _SHARE,
        "decision": _STRING,
        "certainty": _SHARE,
        "probabilities": {"type": "object", "additionalProperties": _SHARE},
        "tokens": _COUNT,
        "unknown_tokens": _COUNT,
        "number_outside_range": {"type": "boolean"},
    },
    {
        "explanation": _object({"label": _STRING, "reference": _SHARE, "words": _WORDS}),
        # Of models that give a text any number of labels.
        "labels": {"type": "array", "items": _STRING},
        "explanations": {
            "type": "array",
            "items": _object(
                {
                    "label": _STRING,
                    "decided": {"type": "boolean"},
                    "probability": _SHARE,
                    "reference": _SHARE,
                    "words": _WORDS,
                }
            ),
        },
    },
)
RESPONSE_SCHEMA = _object(
    {
        "model": _object({"address": _STRING, "version": _MAYBE}),
        "predictions": {"type": "array", "minItems": 1, "items": PREDICTION_SCHEMA},
    }
)
READY_SCHEMA = _object(
    {
        "ready": {"const": True},
        "model": _object(
            {
                "title": _MAYBE,
                "address": _STRING,
                "version": _MAYBE,
                "loaded": _STRING,
                "trained": _MAYBE,
                "text_column": _STRING,
                "classes": {"type": "array", "items": _STRING},
                "label_names": {"type": "object", "additionalProperties": _STRING},
                "threshold": _OPTIONAL_SHARE,
                "review_below": _OPTIONAL_SHARE,
                "explains": {"type": "boolean"},
            },
            {
                "multi_label": {"const": True},
                "separator": _STRING,
                "thresholds": {"type": "object", "additionalProperties": _SHARE},
            },
        ),
        "problem": _MAYBE,
        "limits": {"type": "object", "additionalProperties": {"type": "number"}},
    }
)
HEALTH_SCHEMA = _object({"alive": {"const": True}})
FAULT_SCHEMA = _object(
    {"error": {"type": "string", "enum": sorted(KINDS.values())}, "reason": _STRING}
)

_REASONS = {
    400: "the body cannot be read",
    401: "the token is missing or wrong",
    408: "the client was too slow",
    413: "too much in one request",
    422: "the request has wrong values",
    429: "too many requests wait",
    503: "it waited too long, or the server is full",
}


def fault_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of an address, for the OpenAPI document."""
    content = {"application/json": {"schema": FAULT_SCHEMA}}
    return {each: {"description": _REASONS[each], "content": content} for each in statuses}


def json_response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An answer in JSON, for the OpenAPI document."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}
