"""The service describes itself as it is set up."""

import httpx

from server.settings import load_settings
from web.app import create_app
from web.openapi import describe


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
