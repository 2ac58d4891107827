"""What the command line and the engine build when it is first needed, built before the forks that need it."""

import functools
import gc
from importlib import import_module

import typer.main

from cli.commands import app
from llm_dit.classical.instructions.parsing import parse_instruction

LATER = (
    *("llm_dit.classical.cutting", "llm_dit.classical.selecting", "llm_dit.client"),
    *("numpy.ma", "patchmatch.patch_match", "psd_tools.compression", "psd_tools.psd.descriptor"),
    *("psd_tools.psd.parse_limits", "typer._adapters", "typer._click.decorators", "typer.rich_utils"),
)
"""The modules that are imported where they are used."""

for module in LATER:
    import_module(module)
# Typer reads the signatures of all commands for each call, and the rules of instructions are compiled for the first.
typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(app)
parse_instruction("blue")
gc.collect()
gc.freeze()
