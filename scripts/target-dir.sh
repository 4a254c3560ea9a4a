#!/usr/bin/env bash
# Prints the folder that cargo builds into, wherever CARGO_TARGET_DIR or a config file puts it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
found=$(cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
[ -n "$found" ] || { echo "error: cargo metadata names no target directory" >&2; exit 1; }
printf '%s\n' "$found"
