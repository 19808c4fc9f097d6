#!/usr/bin/env bash
# Signs one request by RFC 9421 (HTTP Message Signatures) and sends it. Needs curl and openssl.
#
#   sign.sh URL METHOD KEY_ID KEY_FILE [BODY]
#
# KEY_FILE holds a shared secret (hmac-sha256), or an Ed25519 private key in PEM (ed25519).
set -euo pipefail
url=$1 method=$2 key_id=$3 key_file=$4 body=${5-}

# The parts of the URL: host (with its port, unless that is 443 for https or 80 for http), path, and query
# with its "?". They are signed as curl sends them: nothing is decoded, nothing is sorted.
rest=${url#*://} rest=${rest%%#*}
host=${rest%%[/?]*}
target=${rest#"$host"}
case $target in /*) ;; *) target=/$target ;; esac
path=${target%%\?*}
query=${target#"$path"}
host=$(printf %s "$host" | tr '[:upper:]' '[:lower:]')
case $url in https:*) host=${host%:443} ;; *) host=${host%:80} ;; esac

digest="sha-256=:$(printf %s "$body" | openssl dgst -sha256 -binary | openssl base64 -A):"
nonce=$(openssl rand -hex 16) # a new one for every request
params="(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created=$(date +%s);keyid=\"$key_id\";nonce=\"$nonce\""

# The signature base of RFC 9421 section 2.5. Without a query, "@query" is "?" alone.
base=$(printf '"%s": %s\n' @method "$method" @authority "$host" @path "$path" @query "${query:-?}" \
  content-digest "$digest" @signature-params "$params") # without a line feed at the end

if grep -q '^-----BEGIN' "$key_file"; then
  file=$(mktemp) # openssl signs with Ed25519 from a file only
  trap 'rm -f "$file"' EXIT
  printf %s "$base" >"$file"
  signature=$(openssl pkeyutl -sign -rawin -inkey "$key_file" -in "$file" | openssl base64 -A)
else
  # openssl gets the secret as an argument, which other users of this machine can see for a moment.
  signature=$(printf %s "$base" | openssl dgst -sha256 -hmac "$(cat "$key_file")" -binary | openssl base64 -A)
fi

send=()
if [ -n "$body" ]; then send+=(--header "Content-Type: application/json"); fi
# An empty body of a POST is said with "Content-Length: 0".
case $method in GET | HEAD | OPTIONS) ;; *) send+=(--data-raw "$body") ;; esac
answer=$(curl --silent --show-error --globoff --path-as-is --request "$method" "$url" \
  --header "Content-Digest: $digest" --header "Signature-Input: sig1=$params" --header "Signature: sig1=:$signature:" \
  ${send[@]+"${send[@]}"} --write-out '\n%{http_code}')
printf '%s\n%s\n' "${answer##*$'\n'}" "${answer%$'\n'*}"
