"""Contact sheets of pictures that the built-in engine takes apart without its networks and with them, to judge by eye.

`python -m benchmarks.before_after FOLDER… --out FILE`. A picture has two rows of layers: without, then with.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from PIL import Image

from benchmarks.contact import contact_sheet
from benchmarks.pictures import SUFFIXES
from llm_dit.classical.seeing import networks
from llm_dit.pipelines.classical import ClassicalPipeline


def rows_of(path: Path, layer_num: int) -> list[tuple[str, list[Image.Image]]]:
    """Return the two rows of a picture: a caption, the picture and its layers, bottom first."""
    with Image.open(path) as opened:
        image = opened.convert("RGBA")
    rows = []
    with tempfile.TemporaryDirectory() as nowhere:
        for state, place in (("without networks", Path(nowhere)), ("with them", networks.folder())):
            begun = time.process_time()
            with patch.object(networks, "folder", lambda place=place: place):
                found = ClassicalPipeline().decompose(image, layer_num=layer_num, seed=0, output_size="original")
            seconds = time.process_time() - begun
            caption = f"{path.name} {state}, {seconds:.1f} s of a processor: {', '.join(found.names[1:])}"
            print(caption, flush=True)
            rows.append((caption, [image, *found[1:]]))
    return rows


def main() -> int:
    """Take the pictures of some folders apart and write the sheet; return 2 when there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/before_after.png"))
    arguments = parser.parse_args()
    paths = [
        path for folder in arguments.folders for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES
    ]
    if not paths:
        print("No pictures found: give folders with PNG, JPEG or WebP files.", file=sys.stderr)
        return 2
    if networks.missing():
        print("The networks are not set up: run `llm-dit models fetch`.", file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet([row for path in paths for row in rows_of(path, arguments.layers)]).save(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
