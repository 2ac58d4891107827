"""The command `llm-dit` as it is installed: finds the tree that the service lives in, and runs its command line.

In a clone that tree is the repository. In a wheel it lies in this package: `cli`, `server`, `web`, `static` and
`templates` at the top of site-packages would meet other projects' folders of the same names.
"""

import sys
from pathlib import Path


def home() -> Path:
    """Return the folder that holds `cli`, `server`, `web`, `static`, `templates`, `requirements` and `config.toml`."""
    here = Path(__file__).parent
    return here if (here / "server").is_dir() else here.parents[1]


def main() -> None:
    """Run the command line; processes that it starts get the same path."""
    sys.path.insert(0, str(home()))
    from cli.commands import app

    app()
