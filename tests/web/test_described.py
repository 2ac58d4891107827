"""The service holds to its own description: the short form of `benchmarks.bad_input`."""

import httpx

from benchmarks.bad_input import Answers, measure_pictures, send_described
from server.settings import load_settings
from tests.conftest import Service
from web.app import create_app
from web.openapi import describe


def test_requests_made_from_the_description_are_answered(client: httpx.Client, stepping_service: Service) -> None:
    answers = Answers(client)
    send_described(stepping_service.url, answers, count=50, first_seed=1)
    assert answers.misses == []
    assert answers.sent["schemathesis"] > 30
    assert {200, 422} <= set(answers.statuses)


def test_damaged_pictures_break_no_process() -> None:
    figures = measure_pictures(4000, first_seed=7)
    assert figures["misses"] == []
    assert figures["tried"] == 4000
    assert figures["results"]["read"] > 100


def test_the_described_defaults_are_those_of_the_configuration(client: httpx.Client) -> None:
    given = {"LLM_DIT_QWEN_IMAGE__NUM_INFERENCE_STEPS": "30", "LLM_DIT_QWEN_IMAGE__LAYER_NUM": "6"}
    settings = load_settings(environment=given)
    schemas = describe(create_app(settings), settings.qwen_image)["components"]["schemas"]
    told = {name: field.get("default") for name, field in schemas["DecomposeRequest"]["properties"].items()}
    assert (told["steps"], told["layer_num"], told["resolution"], told["cfg_scale"]) == (30, 6, 640, 4.0)
    assert schemas["EditLayerRequest"]["properties"]["steps"]["default"] == 30
    running = client.get("/api/openapi.json").json()["components"]["schemas"]["DecomposeRequest"]["properties"]
    defaults = client.get("/api/qwen-image/config").json()["defaults"]
    assert {name: running[name]["default"] for name in defaults} == defaults
