# Sourced by the scripts beside it: stops on errors, goes to the repository's root, and names the places they share.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

carat_cache="${XDG_CACHE_HOME:-$HOME/.cache}/carat"

# Compiling again what was compiled before takes no time where ccache is installed.
if [[ -z "${CMAKE_CXX_COMPILER_LAUNCHER:-}" ]] && command -v ccache > /dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi

# With minutes and seconds since the start, to see where a run spends its time.
heading() { printf "\n== %d:%02d %s\n" $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }

# build PRESET [TARGET...]: configures and compiles; everything, or only the targets.
build() {
  local preset="$1"
  shift
  cmake --preset "$preset" > /dev/null
  cmake --build --preset "$preset" ${1:+--target "$@"}
}

# Makes carat's own Python environment unless it is there, and sets `python` to its interpreter.
find_python() {
  local venv="$carat_cache/venv"
  python="$venv/bin/python"
  if "$python" -m pip --version &> /dev/null; then return; fi
  mkdir -p "$carat_cache"
  python3 -m venv --clear "$venv"
}
