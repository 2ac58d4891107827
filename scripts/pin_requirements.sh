#!/bin/sh
# Write the versions that a fresh install resolves to, one constraints file for each set of extras.
# usage: scripts/pin_requirements.sh PYTHON
set -eu
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# torch is raised by hand, in requirements/qwen.txt: another one means other CUDA libraries, gigabytes of them.
grep '^torch==' requirements/qwen.txt >"$scratch/held.txt"
pin() { # python, name, what to install
  "$1" -m venv "$scratch/$2"
  "$scratch/$2/bin/pip" install --quiet --disable-pip-version-check --constraint "$scratch/held.txt" "$3"
  # Without the build (+cpu, +cu130) and what that build brings, so that the pins fit every machine.
  "$scratch/$2/bin/pip" freeze --exclude llm-dit | grep '==' | grep -Ev '^(nvidia-|cuda-|triton)' | sed 's/+.*//' |
    sort >"$scratch/$2.txt"
}
pin "$1" base .
pin "$1" qwen '.[qwen,quantization]'
pin "$1" test '.[test,dev]'
cp "$scratch/base.txt" requirements/base.txt
comm -13 "$scratch/base.txt" "$scratch/qwen.txt" >requirements/qwen.txt
sort -u "$scratch/base.txt" "$scratch/qwen.txt" | comm -13 - "$scratch/test.txt" >requirements/test.txt
