#!/usr/bin/env bash
# Fifty worlds that are always the same, and fifty that the present commit chooses. A failure names its
# seed; `./dev sim --seed N --verbose` shows what happened in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
sim=build/release/sim

"$sim" --seeds 1..50
commit=$(git rev-parse --short=6 HEAD 2>/dev/null || echo 123456)
first=$((16#$commit + 1000))
"$sim" --seeds "$first..$((first + 49))"
