#!/usr/bin/env bash
# The OGraf Server API as EBU describes it: schemathesis asks everything in EBU's OpenAPI file of a server of ours, right and
# wrong, and every answer has to be one that the file knows. Not part of `make test`: the file comes from the network.
#
#   make ograf                     fetches https://github.com/ebu/ograf
#   make ograf SPEC=server-api.yaml
#
# EBU's file lists no answer to a body that cannot be read and none to what may not be done (a template is a folder of whoever
# runs the server, and is not deleted from afar): 400 and 403 are what HTTP has for them, and are let pass.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d) server=
trap '[ -z "$server" ] || kill $server; rm -rf "$work"' EXIT
spec=${SPEC:+$(realpath "$SPEC")}
tester=$PWD/tests/oracle/venv/bin/schemathesis
if [ -z "$spec" ]; then
  git clone -q --depth 1 https://github.com/ebu/ograf "$work/ograf"
  spec=$work/ograf/v1/specification/open-api/server-api.yaml
fi
./target/release/vitrine --data-dir "$work/data" --http 127.0.0.1:0 --rtmp 127.0.0.1:0 --srt 127.0.0.1:0 \
  --admin-token ograf-password --stream-key ograf-stream-key > "$work/log" 2>&1 &
server=$!
until [ -s "$work/data/endpoints.json" ]; do sleep 0.2; kill -0 $server; done
address=http://$(sed -n 's/.*"http": *"\([^"]*\)".*/\1/p' "$work/data/endpoints.json")
ask() { curl -fsS -X "$1" -H "Authorization: Bearer ograf-password" "$address/api/v1$2" -d "$3" > /dev/null; }
ask PUT /products/cup '{"title":"Cup","priceMinor":8900,"currency":"EUR"}'
ask PUT /cards/cup '{"sku":"cup"}'
ask POST /cards/cup/show '{}'
cat > "$work/hooks.py" <<'HOOK'
import schemathesis

KNOWN = {"rendererId": "main", "graphicId": "product"}

@schemathesis.hook
def before_load_schema(context, schema):
    for path in schema["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].setdefault("400", {"description": "It cannot be read."})
                operation["responses"].setdefault("403", {"description": "It may not be done here."})
                for parameter in operation.get("parameters", []) + path.get("parameters", []):
                    if parameter.get("name") in KNOWN:
                        parameter["schema"] = {"type": "string", "enum": [KNOWN[parameter["name"]], "nosuch"]}
HOOK
cd "$work"
SCHEMATHESIS_HOOKS=$work/hooks.py "$tester" run "$spec" --url "$address/ograf/v1" \
  -H "Authorization: Bearer ograf-password" --max-time 120 -n 20 --phases examples,coverage,fuzzing \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --generation-deterministic --no-color --no-shrink
