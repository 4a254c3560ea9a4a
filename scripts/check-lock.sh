#!/usr/bin/env bash
# Cargo.lock must hold one version each of the crates whose types cross our crate borders: with
# two, a batch of the one does not fit the other, and the build time doubles.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
for crate in arrow datafusion parquet object_store; do
    versions=$(awk -v crate="$crate" '
        $1 == "name" { name = $3; gsub(/"/, "", name) }
        $1 == "version" && name == crate { gsub(/"/, "", $3); print $3; name = "" }' Cargo.lock)
    if [ "$(printf '%s' "$versions" | grep -c .)" -ne 1 ]; then
        echo "error: Cargo.lock must hold exactly one version of $crate, it holds: ${versions:-none}" | tr '\n' ' ' >&2
        echo "(find who asks for the other with \`cargo tree -i $crate@VERSION\`)" >&2
        failed=1
    else
        echo "$crate $versions"
    fi
done
exit "$failed"
