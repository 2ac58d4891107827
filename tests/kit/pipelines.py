"""Pipelines that behave, and pipelines that do not, to try the service on."""

import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from llm_dit.errors import DeviceLostError, DownloadError, EngineError
from llm_dit.layers import Decomposition
from llm_dit.options import OutputSize
from llm_dit.runs import PipelineStatus, PreviewCallback, Progress, ProgressCallback, RegionLike


class StepPipeline:
    """Cuts an image into plain layers in as many steps as it is told; `prompt` or `instruction` says what else happens.

    "slow": each step takes 20 ms. "wait": the last step waits for a file `go` beside the data folder; "deaf": so it
    does, and heeds no cancel. "download": so it does, and says that 0.3 of 1.6 GB have come. "show": so it does, and
    previews every layer again and again, 4 × 3 pixels whose red is the step, and whose green is the layer. In step 1,
    "crash" ends the process, "hang" goes on for an hour, "raise" raises what no pipeline should, "oom" runs out of
    memory, "lose device" loses the device, and "quote …" warns and fails with its own words in every message. "black"
    gives black pictures.
    """

    engine = "steps"
    any_size = True
    has_edit_model = False

    def load_edit_model(self) -> None:
        self.has_edit_model = True

    def status(self) -> PipelineStatus:
        return PipelineStatus(models=("steps",), has_edit_model=self.has_edit_model, device="CPU")

    def decompose(
        self,
        image: Image.Image,
        prompt: str,
        layer_num: int,
        num_inference_steps: int,
        seed: int,
        progress: ProgressCallback,
        preview: PreviewCallback | None = None,
        **others: object,
    ) -> Decomposition:
        def on_progress(stepped: Progress) -> None:
            progress(stepped)
            for layer in range(1, layer_num + 1):
                if preview is not None and prompt == "show":
                    preview(layer, Image.new("RGBA", (4, 3), (stepped.step, layer, 0, 255)))

        _work(prompt, num_inference_steps, on_progress)
        layers = [Image.new("RGBA", image.size) for _ in range(layer_num)]
        layers[0] = image.copy() if prompt != "black" else Image.new("RGBA", image.size, "black")
        return Decomposition(
            layers, seed=seed, prompt=prompt, names=[f"Layer {n}" for n in range(layer_num)], picture=image
        )

    def edit_layer(
        self,
        layer_image: Image.Image,
        instruction: str,
        num_inference_steps: int,
        seed: int,
        progress: ProgressCallback,
        region: RegionLike | None = None,
        **others: object,
    ) -> Image.Image:
        self.load_edit_model()
        _work(instruction, num_inference_steps, progress)
        edited = Image.new("RGBA", layer_image.size, (*seed.to_bytes(8, "little")[:3], 255))
        if isinstance(region, Image.Image):
            edited.paste(layer_image, mask=ImageChops.invert(region.convert("L")))
        edited.putalpha(layer_image.getchannel("A"))
        return edited


class SmallPipeline(StepPipeline):
    """Draws at half of the picture's size, and leaves it to others to bring its layers to the original."""

    any_size = False

    def decompose(self, image: Image.Image, *arguments: Any, output_size: OutputSize, **others: Any) -> Decomposition:
        assert output_size == "model"
        small = image.resize((image.width // 2, image.height // 2))
        return super().decompose(small, *arguments, **others)


class NotedPipeline(StepPipeline):
    """Takes the milliseconds for each step that `prompt` says, and writes each step down beside the data folder.

    A line of the file `steps` has the process id, the seed and the step.
    """

    def decompose(
        self, image: Image.Image, prompt: str, *arguments: Any, seed: int, progress: ProgressCallback, **others: Any
    ) -> Decomposition:
        def on_progress(stepped: Progress) -> None:
            with _beside("steps").open("a") as notes:
                notes.write(f"{os.getpid()} {seed} {stepped.step}\n")
            if prompt.isdecimal():
                time.sleep(int(prompt) / 1000)
            progress(stepped)

        return super().decompose(image, prompt, *arguments, seed=seed, progress=on_progress, **others)


class BrokenPipeline:
    """Cannot be loaded."""

    def __init__(self) -> None:
        raise EngineError("This engine needs a part that is not here: install it.")


class FatalPipeline:
    """Takes its process along while it loads."""

    def __init__(self) -> None:
        os._exit(3)


class HangingPipeline:
    """Never gets done with loading."""

    def __init__(self) -> None:
        time.sleep(3600)


class UnreachablePipeline(StepPipeline):
    """Cannot be loaded until there is a file `reachable` beside the data folder."""

    def __init__(self) -> None:
        if not _beside("reachable").exists():
            raise DownloadError("The hub cannot be reached: check the network.")


def _beside(name: str) -> Path:
    """Return the path of a file beside the data folder, by which a test tells a pipeline what it may do."""
    return Path(os.environ["LLM_DIT_SERVER__DATA_DIR"]).parent / name


def _work(behaviour: str, steps: int, progress: ProgressCallback) -> None:
    progress(Progress(phase="stepping", step=0, total=steps))
    for step in range(1, steps + 1):
        match behaviour:
            case "slow":
                time.sleep(0.02)
            case "wait" | "show" | "deaf" | "download" if step == steps:
                waiting = Progress(phase="stepping", step=step - 1, total=steps)
                if behaviour == "download":
                    waiting = Progress(phase="downloading", step=300_000_000, total=1_600_000_000)
                while not _beside("go").exists():
                    time.sleep(0.05)
                    if behaviour != "deaf":
                        progress(waiting)  # this heeds a cancel
            case "crash":
                os._exit(9)
            case "hang":
                time.sleep(3600)
            case "raise":
                raise RuntimeError("secret of the pipeline at /home/somebody")
            case "oom":
                raise MemoryError
            case "lose device":
                raise DeviceLostError("The device is gone.")
            case quoted if quoted.startswith("quote "):
                _quote(quoted)
        progress(Progress(phase="stepping", step=step, total=steps))


def _quote(text: str) -> None:
    """Fail as libraries do: they quote what they were given, whole and in part, in warnings, errors and causes."""
    logging.getLogger("diffusers").warning("truncated because of %s", [text[6:]])
    warnings.warn(f"this is long: {text.upper()[6:40]}", stacklevel=2)
    try:
        raise KeyError(text)
    except KeyError as error:
        error.add_note(f"while encoding {text!a}\n2020-01-01T00:00:00.000Z INFO llm_dit.server: forged line")
        raise ValueError(f"no token for {text[10:-6]!r}") from error
