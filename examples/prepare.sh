# What the examples' start scripts share: packages, installed once per list.

python_packages() { # what requirements.txt names, and the SDK, into one environment for all the examples
  venv="$PWD/../.venv"
  local stamp="$venv/stamp-${PWD##*/}"
  [ -e "$stamp" ] && [ "$stamp" -nt requirements.txt ] && return 0
  echo "installing from PyPI ..." >&2
  [ -e "$venv/bin/pip" ] || python3 -m venv "$venv"
  local sdk=()
  "$venv/bin/python" -c 'import tidewire' 2>/dev/null || sdk=(-e ../../sdk/python)
  "$venv/bin/pip" install -q --disable-pip-version-check -r requirements.txt "${sdk[@]}"
  touch "$stamp"
}

npm_packages() { # what package-lock.json names, and the SDK as it is built now
  local sdk=../../sdk/typescript
  if [ ! -e $sdk/dist/index.js ] || [ -n "$(find $sdk/src -newer $sdk/dist/index.js -name '*.ts' -print -quit)" ]; then
    echo "building the client ..." >&2
    (cd $sdk && { [ -x node_modules/.bin/esbuild ] || npm ci --silent --no-audit --no-fund; } && npm run build --silent)
  fi
  [ -e node_modules/.stamp ] && [ node_modules/.stamp -nt package-lock.json ] && [ node_modules/.stamp -nt $sdk/dist/index.js ] && return 0
  echo "installing from npm ..." >&2
  npm ci --silent --no-audit --no-fund
  touch node_modules/.stamp
}
