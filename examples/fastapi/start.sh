#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
. ../prepare.sh
python_packages
exec "$venv/bin/uvicorn" app:app --host 127.0.0.1 --port "${PORT:-8001}" --no-access-log
