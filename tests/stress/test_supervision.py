"""A worker that hangs as it loads, crashes again and again, or rests: what takes seconds by its nature."""

from tests.kit.jobs import metric, start, status
from tests.kit.waiting import wait_until
from tests.web.test_supervision import Start, decompose


def test_a_pipeline_that_hangs_while_it_loads_is_told(start_service: Start) -> None:
    environment = {"LLM_DIT_SERVER__LOAD_TIMEOUT_S": "1.5", "TEST_PIPELINE": "HangingPipeline"}
    service = start_service(app="tests.kit.app:app", environment=environment, ready=False)
    with service.connect() as client:
        wait_until(lambda: client.get("/readyz").json()["code"] == "stalled", "the watchdog")


def test_a_worker_that_crashes_again_and_again_is_started_after_pauses(start_service: Start) -> None:
    service = start_service(app="tests.kit.app:app")
    with service.connect() as client:
        for _ in range(2):
            assert decompose(client, "crash").json()["code"] == "worker_lost"
        assert "the engine restarts in 1 s" in service.log
        assert decompose(client).status_code == 200
        assert decompose(client, "crash").json()["code"] == "worker_lost"
        assert service.log.count("restarts in 0 s") == 2, "a good run ends the pauses"


def test_the_models_are_unloaded_in_rest_and_loaded_on_demand(start_service: Start) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__IDLE_UNLOAD_S": "0.3"})
    with service.connect() as client:
        wait_until(lambda: metric(client, 'llm_dit_worker_ends_total{reason="unloaded"}') == 1, "the worker's rest")
        wait_until(lambda: service.worker_pids() == [], "the worker's end")
        about = client.get("/api/qwen-image/status").json()
        assert (about["state"], about["loaded_models"]) == ("unloaded", [])
        assert client.get("/readyz").status_code == 200
        job = start(client, "slow", 40)
        wait_until(lambda: status(client, job) == "succeeded", "the run")
        assert metric(client, "llm_dit_model_load_seconds_count") == 2
        wait_until(lambda: service.worker_pids() == [], "the worker's rest")
