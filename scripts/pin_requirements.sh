#!/bin/sh
# Write the versions that a fresh install resolves to, one constraints file for each set of extras.
# usage: scripts/pin_requirements.sh PYTHON
set -eu
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
pin() { # name, what to install
  "$1" -m venv "$scratch/$2"
  "$scratch/$2/bin/pip" install --quiet --disable-pip-version-check "$3"
  "$scratch/$2/bin/pip" freeze --exclude llm-dit | grep '==' | sort >"$scratch/$2.txt"
}
pin "$1" base .
pin "$1" test '.[test,dev]'
cp "$scratch/base.txt" requirements/base.txt
comm -13 "$scratch/base.txt" "$scratch/test.txt" >requirements/test.txt
