# /// script
# requires-python = ">=3.11"
# dependencies = ["llm-dit[qwen]"]
#
# [tool.uv]
# constraint-dependencies = [
#   "Jinja2==3.1.6",
#   "MarkupSafe==3.0.4",
#   "Pygments==2.21.0",
#   "annotated-doc==0.0.7",
#   "annotated-types==0.8.0",
#   "anyio==4.16.0",
#   "attrs==26.1.0",
#   "click==8.5.1",
#   "fastapi==0.165.0",
#   "h11==0.16.0",
#   "idna==3.20",
#   "lxml==6.1.3",
#   "markdown-it-py==4.3.0",
#   "mdurl==0.1.2",
#   "numpy==2.4.6",
#   "opencv-contrib-python-headless==5.0.0.93",
#   "opentelemetry-api==1.45.2",
#   "pillow==13.0.0",
#   "prometheus_client==0.26.0",
#   "psd-tools==1.26.0",
#   "pydantic==2.14.3",
#   "pydantic_core==2.50.4",
#   "pypatchmatch==2.2.0",
#   "python-multipart==0.0.34",
#   "python-pptx==1.0.2",
#   "resvg-py==0.5.0",
#   "rich==15.0.0",
#   "segno==1.6.6",
#   "shellingham==1.5.4",
#   "starlette==1.10.0",
#   "typer==0.29.2",
#   "typing-inspection==0.4.5",
#   "typing_extensions==4.16.0",
#   "uvicorn==0.54.0",
#   "xlsxwriter==3.3.1",
#   "PyYAML==6.0.3",
#   "accelerate==1.15.0",
#   "bitsandbytes==0.50.2",
#   "certifi==2026.10.18",
#   "charset-normalizer==3.5.2",
#   "diffusers==0.42.1",
#   "filelock==4.2.12",
#   "fsspec==2026.9.0",
#   "hf-xet==1.8.0",
#   "httpcore2==2.16.2",
#   "httpx2==2.16.2",
#   "huggingface_hub==2.4.0",
#   "importlib_metadata==10.2.0",
#   "lazy-importer==0.1.0",
#   "mpmath==1.3.0",
#   "networkx==3.6.1",
#   "packaging==26.3",
#   "psutil==7.2.2",
#   "regex==2026.11.15",
#   "requests==2.34.2",
#   "safetensors==0.8.0",
#   "sympy==1.14.0",
#   "tokenizers==0.23.3",
#   "torch==2.13.0",
#   "torchao==0.18.0",
#   "tqdm==4.70.1",
#   "transformers==5.23.0",
#   "truststore==0.10.5",
#   "urllib3==2.8.0",
#   "zipp==4.1.2",
# ]
#
# [tool.uv.sources]
# llm-dit = { path = "..", editable = true }
# ///
"""Take an image apart into layers, and edit some of them, with Qwen-Image.

uv run scripts/generate.py --model-type qwenimage --qwen-image-model-path FOLDER --img2img input.jpg "A prompt"
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from llm_dit.errors import LLMDiTError, VersionError
from llm_dit.images import encode_png, read_image
from llm_dit.layers import Decomposition, Layer, composite
from llm_dit.options import QWEN_IMAGE, Guidance, LayerNum, Resolution, Speed, Steps, choices, help_of
from llm_dit.qwen.diagnosis import unmet_requirements
from llm_dit.qwen.loading.checkpoints import LAYERED_MODEL
from llm_dit.qwen.placement.plan import STRATEGIES, CpuOffload
from llm_dit.runs import Progress

EDIT_HELP = "edit a layer of the result, 1 is the bottom one; repeat it with --instruction for more"

FILE_HELP = "one .safetensors or .gguf file with a transformer that takes the place of the model's"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    # Options that begin with --qwen-image- are as the project of the model's document has them.
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("prompt", nargs="?", default="", help="what the image shows; empty: the model describes it")
    parser.add_argument("--model-type", choices=["qwenimage"], default="qwenimage")
    parser.add_argument("--img2img", required=True, metavar="FILE", type=Path, help="the image to take apart")
    parser.add_argument(
        "--qwen-image-model-path", default=LAYERED_MODEL, metavar="PATH", help="folder or hub id (%(default)s)"
    )
    parser.add_argument("--qwen-image-edit-model-path", metavar="PATH", help="folder or hub id (downloaded if missing)")
    parser.add_argument("--qwen-image-transformer-path", metavar="FILE", help=FILE_HELP)
    parser.add_argument("--qwen-image-edit-transformer-path", metavar="FILE", help="the same for the edit model")
    add_option(parser, "layers", LayerNum, QWEN_IMAGE.layer_num)
    add_option(parser, "steps", Steps, QWEN_IMAGE.num_inference_steps, of_lora=True)
    add_option(parser, "cfg-scale", Guidance, QWEN_IMAGE.cfg_scale, of_lora=True)
    add_option(parser, "resolution", Resolution, QWEN_IMAGE.resolution)
    parser.add_argument("--seed", type=int, help="the same seed gives the same layers again")
    parser.add_argument("--original-size", action="store_true", help="layers as large as the image")
    parser.add_argument("--output", type=Path, default=Path("output"), metavar="FOLDER", help="(%(default)s)")
    parser.add_argument("--edit-layer", type=int, action="append", default=[], metavar="N", help=EDIT_HELP)
    parser.add_argument("--instruction", action="append", default=[], metavar="TEXT", help="what to change on it")
    parser.add_argument("--cpu-offload", default="true", choices=["true", "false", "auto", *STRATEGIES])
    parser.add_argument("--qwen-image-cpu-offload", action="store_const", dest="cpu_offload", const="true")
    parser.add_argument("--speed", choices=choices(Speed), default=QWEN_IMAGE.speed, help=help_of(Speed))
    lora: dict[str, Any] = {"action": "append", "default": [], "metavar": "PLACE[:WEIGHT]"}
    parser.add_argument(
        "--lora", help="file, folder, hub id or name of a LoRA for the layered model; repeatable", **lora
    )
    parser.add_argument("--edit-lora", help="likewise for the edit model", **lora)
    parser.add_argument("--quantization", choices=["fp8", "nf4"])
    parser.add_argument("--device", help="cuda, cuda:1, mps or cpu; by default the best there is")
    parser.add_argument("--devices", help="two GPUs, as in cuda:0,cuda:1; the second runs one of guidance's branches")
    parsed = parser.parse_args(arguments)
    if len(parsed.edit_layer) != len(parsed.instruction):
        parser.error("give an --instruction for every --edit-layer")
    for number in parsed.edit_layer:
        if not 1 <= number <= parsed.layers:
            parser.error(f"--edit-layer: there is no layer {number}; there are 1 to {parsed.layers}")
    return parsed


def add_option(
    parser: argparse.ArgumentParser, name: str, option: Any, default: float, *, of_lora: bool = False
) -> None:
    """Add an option of a run under the two names that it has here; `of_lora`: a LoRA may have a default of its own."""
    told = f"{help_of(option)} Default: {default}{', or that of a LoRA' if of_lora else ''}."
    parser.add_argument(
        f"--{name}",
        f"--qwen-image-{name}",
        type=type(default),
        default=None if of_lora else default,
        metavar="N",
        help=told,
    )


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        image = read_image(options.img2img.read_bytes())
        generate(options, image)
    except OSError as error:
        return fail(f"{error.filename or options.output}: {error.strerror}")
    except LLMDiTError as error:
        return fail(error.message)
    except KeyboardInterrupt:
        return fail("stopped")
    return 0


def generate(options: argparse.Namespace, image: Image.Image) -> None:
    if unmet := unmet_requirements():
        raise VersionError(f"{unmet[0].name} is {unmet[0].value}: {unmet[0].advice}.")
    # Imported here, so that --help and a wrong argument do not wait for torch.
    from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline

    pipe = QwenImageDiffusersPipeline.from_pretrained(
        options.qwen_image_model_path,
        edit_model_path=options.qwen_image_edit_model_path,
        transformer_path=options.qwen_image_transformer_path,
        edit_transformer_path=options.qwen_image_edit_transformer_path,
        cpu_offload=read_offload(options.cpu_offload),
        load_edit_model=False,
        device=options.device,
        devices=options.devices,
        quantization=options.quantization,
        speed=options.speed,
        loras=options.lora,
        edit_loras=options.edit_lora,
        progress=show_progress,
    )
    print(pipe.placement.reason, file=sys.stderr)
    layers = pipe.decompose(
        image,
        prompt=options.prompt,
        layer_num=options.layers,
        resolution=options.resolution,
        num_inference_steps=options.steps,
        cfg_scale=options.cfg_scale,
        seed=options.seed,
        output_size="original" if options.original_size else "model",
        progress=show_progress,
    )
    save(layers, options.output, options.img2img.stem)
    print(f"seed {layers.seed}, prompt: {layers.prompt}", file=sys.stderr)
    for number, instruction in zip(options.edit_layer, options.instruction, strict=True):
        layers[number] = pipe.edit_layer(
            layers[number],
            instruction,
            num_inference_steps=options.steps,
            cfg_scale=options.cfg_scale,
            seed=layers.seed,
            progress=show_progress,
        )
    if options.edit_layer:
        layers[0] = composite(Layer(image=layer) for layer in layers[1:])
        save(layers, options.output, f"{options.img2img.stem}_edited")


def save(layers: Decomposition, folder: Path, stem: str) -> None:
    """Write the composite and the layers, bottom first, and print each file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, layer in enumerate(layers):
        name = "composite" if number == 0 else f"layer_{number}"
        file = folder / f"{stem}_{name}.png"
        file.write_bytes(encode_png(layer))
        print(file)


def read_offload(text: str) -> CpuOffload:
    return {"true": True, "false": False}.get(text, text)  # pyright: ignore[reportReturnType]


def show_progress(report: Progress) -> None:
    """Keep one line up to date on a terminal; elsewhere write a line for each phase."""
    if report.phase == "downloading":
        count = f"{report.step / 1e9:.2f} of {report.total / 1e9:.2f} GB"
    else:
        count = f"{report.step} of {report.total}"
    if sys.stderr.isatty():
        print(f"\r{report.phase}: {count}\033[K", end="" if report.step < report.total else "\n", file=sys.stderr)
    elif report.step in {0, report.total}:
        print(f"{report.phase}: {count}", file=sys.stderr)


def fail(message: str) -> int:
    print(f"generate.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
