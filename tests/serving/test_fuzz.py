"""Whatever is sent, the answer is one that the OpenAPI document tells of."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from served import application

HEALTHY = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "texts", "explain", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"text": st.text(st.characters())}).map(
        lambda value: json.dumps(value).encode()
    ),
    st.fixed_dictionaries(
        {"texts": st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=25)}
    ).map(lambda value: json.dumps(value, ensure_ascii=False).encode()),
)


@pytest.fixture(scope="module")
def server(loaded):
    made = application(loaded)
    yield made
    made.batcher.close()


@settings(max_examples=150, **HEALTHY)
@given(body=BODIES)
@example(body=b'{"text": "\\u0000"}')
@example(body=b'{"text": "\\udfff\\ud800"}')
@example(body=b'{"text": 1e999}')
@example(body='{"text": "\u202e\ufeff\U0010ffff"}'.encode())
@example(body=b'{"text": "\\u0130\\u0130\\u1e9e"}')
def test_any_body_is_answered_or_refused_with_a_reason(server, body):
    answer = server.ask("POST", "/predict", content=body)
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code == 200:
        for each in answer.json()["predictions"]:
            assert sum(each["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    else:
        assert set(answer.json()) == {"error", "reason"}


@settings(max_examples=60, **HEALTHY)
@given(
    body=st.one_of(
        st.binary(max_size=80),
        st.text(st.sampled_from('text,\n\r"; \t1é\x00'), max_size=40).map(
            lambda rest: b"text\n" + rest.encode()
        ),
    ),
    query=st.sampled_from(["", "?text=text", "?delimiter=%2C", "?encoding=latin-1", "?text=%F0"]),
)
def test_any_table_is_scored_or_refused_with_a_reason(server, body, query):
    answer = server.ask("POST", f"/score{query}", content=body)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert set(answer.json()) == {"error", "reason"}


OPERATIONS = [
    ("POST", "/predict"),
    ("POST", "/score"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
]


@pytest.fixture(scope="module")
def document(server):
    return schemathesis.openapi.from_asgi("/openapi.json", server.app)


def test_the_document_tells_of_every_address(document):
    told = {(method.upper(), path) for path in document for method in document[path]}
    assert told == set(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        *((method, path, GenerationMode.POSITIVE) for method, path in OPERATIONS),
        *((method, path, GenerationMode.NEGATIVE) for method, path in OPERATIONS[:2]),
    ],
    ids=str,
)
def test_answers_are_as_the_document_says(document, method, path, mode):
    # Which strings are tables, no schema can tell.
    beyond = [positive_data_acceptance] if path == "/score" else []

    @settings(max_examples=25, **HEALTHY)
    @given(case=document[path][method].as_strategy(generation_mode=mode))
    def check(case):
        answer = case.call()
        # A body that is too large is refused for that, whatever else is wrong with it.
        too_large = [negative_data_rejection] if answer.status_code == 413 else []
        case.validate_response(answer, excluded_checks=[*beyond, *too_large])

    check()
