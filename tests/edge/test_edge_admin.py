"""The admin API on a real listener, over a real engine: who may ask, what is refused by name, what is started once."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.edge.admin_stage import NUMBERS, START, Stage

from cordboard.edge.atomic import write_json
from cordboard.edge.control import admin
from cordboard.edge.control.admin import MAX_BODY, MAX_CUSTOM_DATA
from cordboard.edge.starts import Starts
from cordboard.session.operations import Operations

T = TypeVar("T")
JSON = {"Content-Type": "application/json"}


def problem(response: httpx.Response) -> tuple[int, str, str]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["code"], body["detail"]


def test_a_session_is_started_looked_at_and_ended(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        started = await stage.start()
        assert started.status_code == 201
        assert started.headers["cache-control"] == "no-store"
        body = started.json()
        assert body["state"] == "live"
        assert body["control_url"].startswith("https://voice.example/control/")
        assert started.headers["location"] == f"/v1/sessions/{body['id']}"
        shown = (await stage.client.get(started.headers["location"])).json()
        assert (shown["id"], shown["state"], shown["to"]) == (body["id"], "live", NUMBERS["to"])
        assert shown["legs"][0]["answered"] is True
        assert body["control_url"].rpartition("/")[2] not in json.dumps(shown)
        listed = (await stage.client.get("/v1/sessions")).json()
        assert [each["id"] for each in listed["items"]] == [body["id"]]
        ended = await stage.client.post(f"/v1/sessions/{body['id']}/end")
        assert (ended.status_code, ended.json()) == (202, {"id": body["id"], "state": "ending"})
        stage.bench.run(1)
        assert stage.bench.record.cause == "operator.terminate"

    Stage(tmp_path).run(story)


BAD_TOKENS = ("", "Bearer", "Bearer nonsense", "Basic dTpw", "Bearer cbt_00000000_" + "a" * 43)


def test_without_a_good_token_nothing_is_told(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for method, path in (("POST", "/v1/sessions"), ("GET", "/v1/sessions"), ("GET", "/v1/sessions/x"),
                             ("POST", "/v1/sessions/x/end"), ("POST", "/v1/sessions/x/recording/pause")):  # fmt: skip
            for header in BAD_TOKENS:
                headers = {"Authorization": header}
                response = await stage.client.request(method, path, headers=headers, content=b"{")
                assert problem(response)[:2] == (401, "unauthorized")
                assert response.headers["www-authenticate"] == "Bearer"
        assert stage.bench.rounds == []

    Stage(tmp_path).run(story)


def test_expired_revoked_and_narrow_tokens(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        old = stage.token("read", expires=time.time() - 1)
        assert (await stage.client.get("/v1/sessions", headers=old)).status_code == 401
        gone = stage.token("read")
        assert stage.tokens.revoke(gone["Authorization"].split("_")[1])
        assert (await stage.client.get("/v1/sessions", headers=gone)).status_code == 401
        reader, starter = stage.token("read", expires=time.time() + 60), stage.token("start")
        assert (await stage.client.get("/v1/sessions", headers=reader)).status_code == 200
        refused = problem(await stage.client.post("/v1/sessions", json=START, headers=reader))
        assert refused == (403, "insufficient_scope", "this needs the scope start; the token has read")
        assert (await stage.client.get("/v1/sessions", headers=starter)).status_code == 403
        assert (await stage.client.post("/v1/sessions/x/end", headers=starter)).status_code == 403

    Stage(tmp_path).run(story)


BAD_STARTS: list[tuple[Any, int, str]] = [
    ([], 422, "no JSON object"),
    ({}, 422, "scenario: missing"),
    ({"scenario": 7}, 422, "scenario: missing, or no text"),
    ({"scenario": ""}, 422, "scenario: missing"),
    ({"scenario": "nobody"}, 422, "scenario: no function is of scenario 'nobody'; scenarios there: desk"),
    ({"scenario": "desk", "custom_data": []}, 422, "custom_data: no JSON object"),
    ({"scenario": "desk", "custom_data": {"x": "é" * (MAX_CUSTOM_DATA // 2)}}, 422, "custom_data: 8200 bytes"),
    ({"scenario": "desk", "custom_data": {"x": {"y": float("nan")}}}, 422, "custom_data.x.y: not a finite number"),
    ({"scenario": "desk", "data": {}}, 422, "data: there is no such field; there are scenario, custom_data"),
]


def test_a_bad_start_names_its_field(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for body, status, detail in BAD_STARTS:
            content = json.dumps(body, ensure_ascii=False).encode()
            refused = problem(await stage.client.post("/v1/sessions", content=content, headers=JSON))
            assert refused[0] == status
            assert detail in refused[2]
        assert stage.bench.rounds == []

    Stage(tmp_path).run(story)


def test_bad_bodies(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        async def post(content: bytes, **headers: str) -> tuple[int, str, str]:
            return problem(await stage.client.post("/v1/sessions", content=content, headers={**JSON, **headers}))

        assert (await post(b"{"))[:2] == (400, "bad_request")
        assert (await post(b"\xff{}"))[:2] == (400, "bad_request")
        assert (await post(b"[" * 15_000))[0] in (400, 422)
        deep = b'{"scenario": "desk", "custom_data": ' + b'{"a":' * 40 + b"1" + b"}" * 41
        assert "nested deeper than 32" in (await post(deep))[2]
        lone = await post(b'{"scenario": "desk", "custom_data": {"a": "\\ud800"}}')
        assert lone == (422, "invalid", "custom_data: holds what UTF-8 cannot carry")
        half = await post(b'{"scenario": "desk", "\\ud800": 1}')
        assert half[2].startswith("\\ud800: there is no such field")
        assert (await post(b'{"scenario": "\\ud800"}'))[:2] == (422, "unknown_scenario")
        assert (await post(b"{}" + b" " * MAX_BODY))[:2] == (413, "too_large")
        assert (await post(b"{}", **{"Content-Type": "text/plain"}))[:2] == (415, "unsupported_media_type")
        bad_key = await post(json.dumps(START).encode(), **{"Idempotency-Key": "a b"})
        assert bad_key[2].startswith("Idempotency-Key:")
        assert stage.bench.rounds == []

    Stage(tmp_path).run(story)


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "BODY_TIMEOUT", 0.05)

    async def story(stage: Stage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        token = stage.token("start")["Authorization"]
        head = f"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 9\r\n\r\n{{"
        writer.write(head.encode())
        assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()

    Stage(tmp_path).run(story)


def test_the_same_key_starts_nothing_twice(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        first = await stage.start(Idempotency_Key="k1")
        again = await stage.start({"custom_data": {"to": "+1555"}, "scenario": "desk"}, Idempotency_Key="k1")
        assert (again.status_code, again.json()) == (201, first.json())
        other = await stage.start({"scenario": "desk", "custom_data": {"to": "+1556"}}, Idempotency_Key="k1")
        assert problem(other)[:2] == (409, "idempotency_conflict")
        assert len(stage.bench.of("session.started")) == 1
        stranger = await stage.client.post(
            "/v1/sessions", json=START, headers={**stage.token("start"), "Idempotency-Key": "k1"}
        )
        assert stranger.json()["id"] != first.json()["id"], "keys belong to their token"
        stage.operate(lambda operations: operations.end(first.json()["id"]))
        stage.bench.run(1)
        late = await stage.start(Idempotency_Key="k1")
        assert (late.status_code, late.json()) == (201, {"id": first.json()["id"], "state": "ended"})

    Stage(tmp_path, "[limits]", "max_calls = 9").run(story)


def test_a_refused_start_frees_its_key(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        first = await stage.start()
        full = await stage.start(Idempotency_Key="k")
        assert problem(full)[:2] == (429, "full")
        assert full.headers["retry-after"] == "5"
        stage.operate(lambda operations: operations.end(first.json()["id"]))
        stage.bench.run(1)
        assert (await stage.start(Idempotency_Key="k")).status_code == 201

    Stage(tmp_path, "[limits]", "max_calls = 1").run(story)


def test_a_key_whose_outcome_died_with_an_edge_starts_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        def dies(act: Callable[[Operations], T]) -> T:
            raise RuntimeError("the process ends here")

        real = stage.operate
        stage.operate = dies  # type: ignore[method-assign]
        assert (await stage.start(Idempotency_Key="k")).status_code == 500
        stage.operate = real  # type: ignore[method-assign]
        assert problem(await stage.start(Idempotency_Key="k"))[:2] == (409, "idempotency_unknown")
        assert stage.bench.rounds == []

    Stage(tmp_path).run(story)


def test_keys_are_kept_a_day_and_not_more_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.edge.starts.MAX_KEYS", 3)
    with Starts(tmp_path / "starts.sqlite") as starts:
        assert starts.claim("t", "a", "d", 0.0).state == "new"
        starts.started("t", "a", "s_1")
        assert starts.claim("t", "a", "d", 86_399.0).session == "s_1"
        assert starts.claim("t", "a", "d", 86_400.0).state == "new"
        for at, key in enumerate("bcd"):
            assert starts.claim("t", key, "d", 86_401.0 + at).state == "new"
        assert starts.claim("t", "a", "d", 86_500.0).state == "new", "the oldest went"
    assert (tmp_path / "starts.sqlite").stat().st_mode & 0o777 == 0o600


def test_without_a_plane_and_while_it_stops_it_is_told_to_try_again(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.bench.engine.plane_lost(0, "reset", stage.bench.now)
        response = await stage.start()
        assert problem(response)[:2] == (503, "no_plane")
        assert response.headers["retry-after"] == "5"
        stage.bench.connect(0)
        stage.bench.engine.shutdown(stage.bench.now)
        assert problem(await stage.start())[:2] == (503, "draining")

    Stage(tmp_path).run(story)


def test_recordings_pause_and_go_on(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        id_ = (await stage.start()).json()["id"]
        path = f"/v1/sessions/{id_}/recording"
        paused = await stage.client.post(f"{path}/pause", json={"reason": "card number"})
        assert (paused.status_code, paused.json()) == (200, {"id": id_, "recordings": ["recording"]})
        assert (await stage.client.post(f"{path}/resume")).status_code == 200
        assert problem(await stage.client.post(f"{path}/stop"))[:2] == (404, "not_found")
        for body in ({"reason": 7}, {"reason": "x" * 201}, {"reason": "a\nb"}, {"why": "x"}):
            assert problem(await stage.client.post(f"{path}/pause", json=body))[0] == 422
        stage.operate(lambda operations: operations.end(id_))
        stage.bench.run(1)
        write_json(_folder(stage, id_) / "record.json", {"session": id_, "cause": "operator.terminate"})
        assert problem(await stage.client.post(f"{path}/pause"))[:2] == (409, "ended")

    Stage(tmp_path).run(story)


def test_where_nothing_is_recorded_that_is_said(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        id_ = (await stage.start()).json()["id"]
        response = await stage.client.post(f"/v1/sessions/{id_}/recording/pause")
        assert problem(response)[:2] == (409, "nothing_recorded")
        assert response.json()["session"] == id_

    Stage(tmp_path, call_connected=None).run(story)


def _folder(stage: Stage, id_: str) -> Path:
    folder = stage.data.calls / id_
    folder.mkdir(exist_ok=True)
    return folder


def _ended(stage: Stage, number: int, **more: str) -> str:
    id_ = f"s_{number:024x}"
    record = {
        "session": id_, "scenario": "desk", "cause": "caller.hangup", "fault": "none", "from": "+1555", "to": "+1800",
        "started_at": f"2026-01-01T00:00:{number:02}.000Z", "ended_at": f"2026-01-01T00:01:{number:02}.000Z",
        "duration": 60.0, **more,
    }  # fmt: skip
    write_json(_folder(stage, id_) / "facts.json", {"life": "x", "monotonic": 1.0})
    write_json(_folder(stage, id_) / "record.json", record)
    return id_


def test_calls_that_have_ended_are_listed_page_by_page(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        ids = [_ended(stage, number) for number in range(5)]
        odd = _ended(stage, 7, cause="agent.lost", **{"from": "+49301"})
        live = (await stage.start()).json()["id"]
        seen: list[str] = []
        query: dict[str, str] = {"state": "ended", "limit": "2"}
        while True:
            page = (await stage.client.get("/v1/sessions", params=query)).json()
            seen += [each["id"] for each in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert seen == [odd, *reversed(ids)]

        async def ask(**params: str) -> list[str]:
            found = (await stage.client.get("/v1/sessions", params=params)).json()["items"]
            return [each["id"] for each in found]

        assert await ask() == [live, *seen]
        assert await ask(state="live") == [live]
        assert await ask(number="4930") == [odd]
        assert await ask(number="0002222") == [live]
        assert await ask(cause="agent.lost") == [odd]
        assert await ask(since="2026-01-01T00:00:04Z", state="ended") == [odd, ids[4]]
        [item] = (await stage.client.get("/v1/sessions", params={"cause": "agent.lost"})).json()["items"]
        assert item["started_at"] == "2026-01-01T00:00:07.000Z"
        assert (item["from"], item["fault"], item["state"]) == ("+49301", "none", "ended")

    Stage(tmp_path).run(story)


BAD_QUERIES: list[tuple[dict[str, str], str]] = [
    ({"state": "dead"}, "state"), ({"limit": "0"}, "limit"), ({"limit": "1001"}, "limit"),
    ({"since": "yesterday"}, "since"), ({"cursor": "x"}, "cursor"), ({"nubmer": "1"}, "nubmer"),
    ({"limit": "x"}, "limit"), ({"number": "1" * 129}, "number"),
]  # fmt: skip


def test_a_bad_query_names_its_parameter(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for query, named in BAD_QUERIES:
            refused = problem(await stage.client.get("/v1/sessions", params=query))
            assert refused[:2] == (400, "bad_request")
            assert refused[2].startswith(f"{named}: ")

    Stage(tmp_path).run(story)


def test_one_call_that_has_ended(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        id_ = _ended(stage, 3)
        shown = (await stage.client.get(f"/v1/sessions/{id_}")).json()
        assert (shown["id"], shown["state"], shown["cause"], shown["duration"]) == (id_, "ended", "caller.hangup", 60.0)
        assert "session" not in shown
        again = await stage.client.post(f"/v1/sessions/{id_}/end")
        assert (again.status_code, again.json()) == (200, {"id": id_, "state": "ended"})
        for path in (f"s_{99:024x}", "..%2f..%2fsecrets", "x", "s_" + "0" * 25):
            assert problem(await stage.client.get(f"/v1/sessions/{path}"))[0] == 404

    Stage(tmp_path).run(story)


def test_paths_and_methods_that_are_not_there(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert problem(await stage.client.get("/v1/keys"))[:2] == (404, "not_found")
        assert problem(await stage.client.delete("/v1/sessions"))[:2] == (405, "method_not_allowed")

    Stage(tmp_path).run(story)


def test_files_that_cannot_be_read_are_503(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.tokens.close()
        assert problem(await stage.client.get("/v1/sessions"))[:2] == (503, "unavailable")

    Stage(tmp_path).run(story)
