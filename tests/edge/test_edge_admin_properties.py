"""Whatever a body or a query of the admin API holds, it is understood or refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.edge.control.admin import Problem, _reason, _wanted
from cordboard.edge.control.ended_calls import BadFilter, EndedCalls, Filter
from cordboard.edge.data_dir import DataDir

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
NAMES = st.sampled_from(["scenario", "custom_data", "reason"]) | st.text()
QUERIES = st.dictionaries(
    st.sampled_from(["state", "number", "cause", "since", "limit", "cursor", "x"]),
    st.text()
    | st.sampled_from(["live", "1", "9" * 128, "2026-01-01", "0001-01-01T00:00:00+14:00", "1,s_1", "nan,", "-inf,x"]),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_body_is_a_start_or_a_problem(body: dict[str, Any]) -> None:
    for read in (_wanted, _reason):
        try:
            found = json.dumps(read(body), allow_nan=False, ensure_ascii=False)
        except Problem as refused:
            found = json.dumps(refused.body, ensure_ascii=False)
        assert found.encode()


@settings(max_examples=150, deadline=None)
@given(QUERIES)
def test_any_query_is_a_filter_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, query: dict[str, str]
) -> None:
    data = DataDir(tmp_path_factory.getbasetemp() / "no-calls")
    data.make()
    named = ""
    try:
        assert EndedCalls(data).page(Filter.read(query)) == ([], None)
    except BadFilter as refused:
        named = str(refused).partition(":")[0]
    assert not named or named in query
