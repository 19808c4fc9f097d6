#!/usr/bin/env bash
# Signs one request with the scheme HMAC-SHA256 and sends it. Needs curl and openssl.
#
#   sign.sh URL METHOD KEY_ID SECRET_FILE [BODY]
set -euo pipefail
url=$1 method=$2 key_id=$3 secret=$(cat "$4") body=${5-}

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

timestamp=$(date +%s)
nonce=$(openssl rand -hex 16) # a new one for every request
digest=$(printf %s "$body" | openssl dgst -sha256 -r | cut -d' ' -f1)

# The text that is signed, line by line. Headers may be signed too: their names in lower case and in order with
# ";" between, then a line "name:value" for each. Here that is Content-Type, where there is a body.
lines=(portcullis-hmac-sha256-v1 "$method" "$host" "$path" "$query" "$timestamp" "$nonce" "$key_id")
send=() signed=
if [ -n "$body" ]; then
  lines+=(content-type content-type:application/json)
  send+=(--header "Content-Type: application/json")
  signed="SignedHeaders=content-type, "
else
  lines+=("")
fi
lines+=("$digest")
text=$(printf '%s\n' "${lines[@]}") # without a line feed at the end

# openssl gets the secret as an argument, which other users of this machine can see for a moment.
signature=$(printf %s "$text" | openssl dgst -sha256 -hmac "$secret" -r | cut -d' ' -f1)

# An empty body of a POST is said with "Content-Length: 0".
case $method in GET | HEAD | OPTIONS) ;; *) send+=(--data-raw "$body") ;; esac
answer=$(curl --silent --show-error --globoff --path-as-is --request "$method" "$url" \
  --header "Authorization: HMAC-SHA256 KeyId=$key_id, ${signed}Timestamp=$timestamp, Nonce=$nonce, Signature=$signature" \
  ${send[@]+"${send[@]}"} --write-out '\n%{http_code}')
printf '%s\n%s\n' "${answer##*$'\n'}" "${answer%$'\n'*}"
