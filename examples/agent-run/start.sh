#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
. ../prepare.sh
python_packages
exec "$venv/bin/python" run.py "$@"
