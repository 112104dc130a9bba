#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
. ../prepare.sh
npm_packages
exec node serve.mjs
