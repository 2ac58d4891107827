"""The service on a real Ray cluster, each with two replicas: nothing is lost, run twice or late, and the simulation of
`scripts/scaling.py` is right. `make stress-ray` installs Ray and runs this.
"""

import contextlib
import io
import os
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from scripts.scaling import arrivals, simulate
from tests.kit.contract import CONTRACT, RUNS, STEPPING, decomposes
from tests.kit.forks import ROOT
from tests.kit.jobs import DECOMPOSE, metric, start, wait_for, wait_idle
from tests.kit.pictures import as_data_url, difference, from_data_url, png
from tests.kit.service import OWN_PIPELINE, Service, qwen_environment, serve
from tests.kit.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.ray
PATH = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
# A cluster of this machine only: its processes listen on 127.0.0.1.
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
READY = ALONE | {"LLM_DIT_RAY__MIN_REPLICAS": "2", "LLM_DIT_RAY__MAX_REPLICAS": "2", "LLM_DIT_RAY__NUM_CPUS": "0.25"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with Ray's token, which all processes of a cluster share."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    return home


@contextlib.contextmanager
def on_ray(folder: Path, home: Path, address: str = "local", deploy: str = "", **more: str) -> Iterator[Service]:
    """Run a service whose engine is on Ray; `deploy` is a program that deploys the replicas before it."""
    environment = {"HOME": str(home), "LLM_DIT_RAY__ADDRESS": address, **READY, "TEST_PIPELINE": "NotedPipeline"}
    environment |= more
    if deploy:
        program = [sys.executable, "-c", deploy, address]
        own = {"RAY_AUTH_MODE": "token", "LLM_DIT_CONFIG": os.devnull}
        subprocess.run(program, env=os.environ | PATH | environment | own, check=True, timeout=PATIENCE_S)
    with serve(folder, app="tests.kit.app:app", environment=environment) as service:
        yield service


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Service]:
    with on_ray(tmp_path_factory.mktemp("noted"), home) as service:
        yield service


def steps_of(service: Service) -> Mapping[int, list[tuple[int, int]]]:
    """Return the process and the number of each step that a replica has begun, for each seed."""
    steps: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    notes = service.folder / "steps"
    for line in notes.read_text().splitlines() if notes.exists() else ():
        pid, seed, step = map(int, line.split())
        steps[seed].append((pid, step))
    return steps


def color_of(seed: int) -> tuple[int, int, int]:
    return (seed % 256, 90, 200)


def begin(client: httpx.Client, seed: int, steps: int, step_ms: int) -> str:
    image = as_data_url(png(Image.new("RGB", (16, 16), color_of(seed))))
    return start(client, str(step_ms), steps, image=image, seed=seed)


def assert_right(client: httpx.Client, job: str, seed: int) -> None:
    result: Any = wait_for(client, job, "succeeded", "failed")["result"]
    assert result, client.get(job).text
    layer = Image.open(io.BytesIO(client.get(result["layers"][1]["image"]).content))
    assert layer.convert("RGB").getpixel((3, 3)) == color_of(seed)


@pytest.mark.parametrize("holds", CONTRACT)
def test_the_contract_is_kept(holds: Callable[[str], None], noted: Service) -> None:
    holds(noted.url)


@pytest.mark.parametrize("holds", STEPPING)
def test_the_runs_are_reported(holds: Callable[[str], None], noted: Service) -> None:
    holds(noted.url)


def test_each_of_24_jobs_ends_once_and_right(noted: Service) -> None:
    seeds = range(1000, 1024)
    with noted.connect() as client:
        jobs = {seed: begin(client, seed, 10, 20) for seed in seeds}
        for seed, job in jobs.items():
            assert_right(client, job, seed)
    steps = steps_of(noted)
    assert all([step for _, step in steps[seed]] == list(range(11)) for seed in seeds), "a job ran more than once"
    by_replica = Counter(steps[seed][0][0] for seed in seeds)
    print(f"24 jobs, each once: {sorted(by_replica.values())} on {len(by_replica)} replicas")
    assert len(by_replica) == 2


def test_a_killed_replica_costs_none_of_10_jobs(noted: Service) -> None:
    seeds = range(2000, 2010)
    with noted.connect() as client:
        for seed in seeds:
            job = begin(client, seed, 40, 25)
            wait_until(lambda seed=seed: len(steps_of(noted)[seed]) > 10, "the middle of the job")
            os.kill(steps_of(noted)[seed][-1][0], signal.SIGKILL)
            assert_right(client, job, seed)
            pids = {pid for pid, _ in steps_of(noted)[seed]}
            assert len(pids) == 2, "it should have been finished by another replica"
        wait_until(lambda: metric(client, "llm_dit_replicas") == 2, "both replicas")
    print("10 replicas killed in the middle of 10 jobs: 10 right results")


def test_a_job_that_kills_two_replicas_is_not_tried_again(noted: Service) -> None:
    with noted.connect() as client:
        error: Any = wait_for(client, start(client, "crash"), "failed", "succeeded")["error"]
        assert (error["code"], "Two replicas" in error["message"]) == ("worker_lost", True)
        wait_until(lambda: metric(client, "llm_dit_replicas") == 2, "both replicas")


def test_a_cancel_reaches_another_replica_within_a_step(noted: Service) -> None:
    with noted.connect() as client:
        wait_until(lambda: metric(client, "llm_dit_replicas") == 2, "both replicas")
        further = []
        for number in range(3):
            stays, goes = 3000 + number, 3100 + number
            kept, canceled = begin(client, stays, 8, 500), begin(client, goes, 100, 500)
            wait_until(lambda: steps_of(noted)[stays] and len(steps_of(noted)[goes]) > 1, "both jobs")  # noqa: B023
            before = len(steps_of(noted)[goes])
            assert client.delete(canceled).json()["status"] == "canceled"
            assert_right(client, kept, stays)  # for seconds, in which the canceled one could go on
            further.append(len(steps_of(noted)[goes]) - before)
            assert len({pid for seed in (stays, goes) for pid, _ in steps_of(noted)[seed]}) == 2
    print(f"steps that began after the cancel: {further}")
    assert max(further) <= 1


def test_20_mb_go_both_ways(noted: Service) -> None:
    noise = Image.frombytes("RGB", (2600, 2600), random.Random(1).randbytes(2600 * 2600 * 3))
    content = png(noise)
    assert len(content) > 20_000_000
    with noted.connect() as client:
        sent = client.post("/api/images", content=content, headers={"Content-Type": "image/png"}).json()
        begun = time.monotonic()
        made = client.post(DECOMPOSE, json={"image": sent["image"], "layer_num": 1, "steps": 1, "seed": 4000})
        took_s = time.monotonic() - begun
        assert made.status_code == 200, made.text
        assert len(made.content) > 2 * 20_000_000
        assert difference(from_data_url(made.json()["layers"][1]["image"]).convert("RGB"), noise) == 0
    print(f"{len(content) / 1e6:.0f} MB in, {len(made.content) / 1e6:.0f} MB out: {took_s:.1f} s")


def test_the_simulation_is_right_within_15_percent(noted: Service) -> None:
    """Jobs that arrive at 85 % of what two replicas can do: jobs per second, and how long they wait.

    The simulation gets the time of each run as it was measured, because other work of the machine changes it.
    """
    seed, count, steps, step_ms = 5000, 60, 4, 300
    with noted.connect() as client:
        wait_until(lambda: metric(client, "llm_dit_replicas") == 2, "both replicas")
        wait_idle(client)
        alone = [_times(noted, wait_ended(client, begin(client, seed + 500 + n, steps, step_ms))) for n in range(4)]
        usual_s = sum(ended - started for _, started, ended in alone) / len(alone)
        begun, jobs = time.monotonic(), []
        for number, at in enumerate(arrivals(0.85 * 2 / usual_s, count, seed=7)):
            time.sleep(max(0.0, begun + at - time.monotonic()))
            jobs.append(begin(client, seed + number, steps, step_ms))
        wait_idle(client)
    measured = [_times(noted, job) for job in jobs]
    times = [taken - measured[0][0] for taken, _, _ in measured]
    simulated = simulate(times, [ended - started for _, started, ended in measured], 2)
    wait_s = sum(started - taken for taken, started, _ in measured) / count
    throughput = count / (max(ended for _, _, ended in measured) - measured[0][0])
    print(f"{count} jobs of {usual_s:.2f} s at 85 % of what two replicas can do")
    print(f"simulated: {simulated.throughput:.3f} jobs/s, {simulated.mean_wait_s:.2f} s of waiting")
    print(f"measured: {throughput:.3f} jobs/s, {wait_s:.2f} s of waiting")
    assert throughput == pytest.approx(simulated.throughput, rel=0.15)
    assert wait_s == pytest.approx(simulated.mean_wait_s, rel=0.15)


def wait_ended(client: httpx.Client, job: str) -> str:
    wait_for(client, job, "succeeded")
    return job


def _times(service: Service, job: str) -> tuple[float, float, float]:
    """Return when a job was taken, started and ended, from the service's own records."""
    database = f"file:{service.folder / 'data' / 'studio.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(database, uri=True)) as records:
        asked = "SELECT created_at, started_at, finished_at FROM jobs WHERE id = ?"
        return records.execute(asked, [job.rpartition("/")[2]]).fetchone()


@pytest.fixture(scope="module")
def cluster(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster that no service has started."""
    with cluster_on(_free_port(), home, tmp_path_factory.mktemp("cluster")) as address:
        yield address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def cluster_on(port: int, home: Path, folder: Path) -> Iterator[str]:
    told = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=4"]
    program = [str(Path(sys.executable).parent / "ray"), *told, "--include-dashboard=false", "--disable-usage-stats"]
    # The replicas import the service, and find what the tests tell them, by the environment of the cluster's processes.
    environment = os.environ | PATH | ALONE | {"HOME": str(home), "LLM_DIT_SERVER__DATA_DIR": str(folder / "data")}
    with (folder / "log").open("ab") as log, subprocess.Popen(program, env=environment, stdout=log, stderr=log) as head:
        address = f"127.0.0.1:{port}"
        try:
            wait_until(lambda: _listens(port) or head.poll() is not None, "the cluster")
            yield address
        finally:
            head.terminate()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_replicas_follow_the_queue(cluster: str, home: Path, tmp_path: Path) -> None:
    more = {"LLM_DIT_RAY__MIN_REPLICAS": "1", "LLM_DIT_RAY__UPSCALE_DELAY_S": "1", "TEST_PIPELINE": "StepPipeline"}
    with (
        on_ray(tmp_path, home, cluster, **more, LLM_DIT_RAY__APPLICATION="scales") as service,
        service.connect() as client,
    ):
        assert metric(client, "llm_dit_replicas") == 1
        jobs = [start(client, "slow", steps=100) for _ in range(8)]
        wait_until(lambda: metric(client, "llm_dit_replicas") == 2, "a second replica")
        for job in jobs:
            assert wait_for(client, job, "succeeded", "failed")["status"] == "succeeded"


def test_a_replaced_replica_ends_its_job_first(cluster: str, home: Path, tmp_path: Path) -> None:
    """A service with other settings takes the application over while a job of the first one runs."""
    more = {"LLM_DIT_RAY__APPLICATION": "drains"}
    with on_ray(tmp_path / "1", home, cluster, **more) as first, first.connect() as client:
        job = start(client, "400", steps=100)
        wait_until(lambda: client.get(job).json()["step"], "its first step")
        with on_ray(tmp_path / "2", home, cluster, **more, LLM_DIT_RAY__NUM_CPUS="0.2") as second:
            assert client.get(job).json()["status"] == "processing", "the second service should start before it ends"
            assert second.post(DECOMPOSE, json={"image": as_data_url(png(Image.new("RGB", (9, 9))))}).status_code == 200
            wait_until(lambda: client.get(job).json()["status"] != "processing", "the end of the job")
            assert client.get(job).json()["status"] == "succeeded"
        error: Any = wait_for(client, start(client), "failed", "succeeded")["error"]
        assert "Another service has replaced" in error["message"]


PRESSED = """
import dataclasses, sys, ray
from ray import serve
from server.engines import engine_of_service
from server.ray_engine import deployment, plan_of
from server.settings import load_settings
settings = load_settings()
engine = dataclasses.replace(engine_of_service(settings), options=None)
ray.init(address=sys.argv[1], logging_level="ERROR")
serve.start(proxy_location="Disabled")
_, application = deployment("tests.kit.pipelines:StepPipeline", plan_of(settings, engine))
made = application._bound_deployment
small = made.options(num_replicas=1, max_queued_requests=1)
serve.run(small.bind(*made.init_args), name="pressed", route_prefix=None)
"""


DECLARED = """
import os, sys, ray, yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
ray.init(address=sys.argv[1], logging_level="ERROR")
serve.start(proxy_location="Disabled")
_, cluster, _ = yaml.safe_load_all(open("deploy/kuberay.yaml"))
config = yaml.safe_load(cluster["spec"]["serveConfigV2"])
settings = {name: value for name, value in os.environ.items() if name.startswith("LLM_DIT_")}
config["applications"][0] |= {"name": "declared", "runtime_env": {"env_vars": settings}}
_get_global_client().deploy_apps(ServeDeploySchema.model_validate(config), _blocking=True)
"""
LAST_DEPLOYED = """
import sys, ray
from ray import serve
ray.init(address=sys.argv[1], logging_level="ERROR")
print("deployed", serve.status().applications["declared"].last_deployed_time_s)
"""


def test_a_service_uses_what_kubernetes_has_deployed(cluster: str, home: Path, tmp_path: Path) -> None:
    more = {"LLM_DIT_RAY__APPLICATION": "declared", **OWN_PIPELINE}
    with on_ray(tmp_path, home, cluster, deploy=DECLARED, **more) as service:
        began_at = (tmp_path / "config.toml").stat().st_mtime
        decomposes(service.url)
    environment = os.environ | READY | {"HOME": str(home), "RAY_AUTH_MODE": "token"}
    asked = [sys.executable, "-c", LAST_DEPLOYED, cluster]
    told = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert float(told.stdout.split("deployed ")[1]) < began_at


def test_a_full_queue_of_ray_is_waited_out(cluster: str, home: Path, tmp_path: Path) -> None:
    """One replica and one place in Ray, where the service counts on eight: no job is lost."""
    more = {f"LLM_DIT_RAY__{name}_REPLICAS": "8" for name in ("MIN", "MAX")} | {"LLM_DIT_RAY__APPLICATION": "pressed"}
    more["TEST_PIPELINE"] = "StepPipeline"
    with on_ray(tmp_path, home, cluster, deploy=PRESSED, **more) as service, service.connect() as client:
        assert metric(client, "llm_dit_replicas") == 1
        jobs = [start(client, "slow", steps=20, seed=seed) for seed in range(12)]
        for job in jobs:
            assert wait_for(client, job, "succeeded", "failed")["status"] == "succeeded"


def test_a_cluster_that_comes_back_gets_the_jobs_that_came_meanwhile(home: Path, tmp_path: Path) -> None:
    port = _free_port()
    (tmp_path / "cluster").mkdir()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        address = first.enter_context(cluster_on(port, home, tmp_path / "cluster"))
        service = stack.enter_context(on_ray(tmp_path / "service", home, address, TEST_PIPELINE="StepPipeline"))
        client = stack.enter_context(service.connect())
        first.close()
        wait_until(lambda: client.get("/readyz").json().get("code") == "cluster_unreachable", "the reason")
        jobs = [start(client, seed=seed) for seed in range(3)]
        stack.enter_context(cluster_on(port, home, tmp_path / "cluster"))
        for job in jobs:
            assert wait_for(client, job, "succeeded", "failed")["status"] == "succeeded"


def test_a_cluster_out_of_reach_is_told_in_plain_words(home: Path, tmp_path: Path) -> None:
    environment = {"HOME": str(home), "LLM_DIT_RAY__ADDRESS": "127.0.0.1:9"}
    with serve(tmp_path, app="tests.kit.app:app", environment=environment, ready=False) as service:
        wait_until(lambda: service.get("/readyz").json()["code"] == "cluster_unreachable", "the reason")
        assert "The Ray cluster cannot be reached" in service.get("/api/qwen-image/status").json()["error"]


def test_a_killed_service_leaves_no_work_behind(
    cluster: str, home: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its job runs again after the next start; the first run must not go on beside it."""
    seed, more = 6000, {"LLM_DIT_RAY__APPLICATION": "left"}
    with on_ray(tmp_path, home, cluster, **more) as service, service.connect() as client:
        # The replicas write where the cluster's environment says.
        replicas = Service(url="", process=service.process, folder=tmp_path_factory.getbasetemp() / "cluster0")
        job = begin(client, seed, 100, 100)
        wait_until(lambda: len(steps_of(replicas)[seed]) > 5, "the middle of the job")
        service.process.kill()
        service.process.wait()
    with on_ray(tmp_path, home, cluster, **more) as service, service.connect() as client:
        assert_right(client, job, seed)
        steps = [step for _, step in steps_of(replicas)[seed]]
        print(f"steps of the first run after the service was killed: {len(steps) - 101}")
        assert steps.count(100) == 1


def test_a_replica_that_hangs_is_replaced(cluster: str, home: Path, tmp_path: Path) -> None:
    """One that makes no progress, and one that heeds no cancel: the next job finds another replica."""
    more = {"LLM_DIT_RAY__APPLICATION": "hangs", "TEST_PIPELINE": "StepPipeline"}
    more |= {"LLM_DIT_SERVER__STALL_TIMEOUT_S": "3", "LLM_DIT_SERVER__CANCEL_GRACE_S": "1"}
    with on_ray(tmp_path, home, cluster, **more) as service, service.connect() as client:
        error: Any = wait_for(client, start(client, "hang"), "failed", "succeeded")["error"]
        assert error["code"] == "worker_lost"
        assert wait_for(client, start(client), "succeeded", "failed")["status"] == "succeeded"
        deaf = start(client, "deaf")
        wait_until(lambda: client.get(deaf).json()["step"], "its first step")
        assert client.delete(deaf).json()["status"] == "canceled"
        assert wait_for(client, start(client), "succeeded", "failed")["status"] == "succeeded"
        wait_until(lambda: metric(client, "llm_dit_replicas") == 2, "both replicas")


@pytest.mark.parametrize("name", ["classical", "qwen"])
def test_the_engines_themselves_keep_the_contract(
    name: str, cluster: str, home: Path, tmp_path: Path, checkpoints: Path
) -> None:
    more = {"LLM_DIT_RAY__APPLICATION": name, **OWN_PIPELINE, "LLM_DIT_RAY__MAX_REPLICAS": "1", "LLM_DIT_ENGINE": name}
    more["LLM_DIT_RAY__MIN_REPLICAS"] = "1"
    if name == "qwen":
        more |= qwen_environment(checkpoints, LLM_DIT_RAY__NUM_GPUS="0")
    with on_ray(tmp_path, home, cluster, **more) as service:
        for holds in RUNS:
            holds(service.url)
