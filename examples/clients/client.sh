#!/bin/sh
# A client that signs its requests: a POSIX shell, curl and openssl.
#
#     BK_LOGIN=anna BK_SECRET=… sh client.sh METHOD URL [BODY [CONTENT-TYPE]]
#
# prints the body of the reply and ends with 22 unless the status is below 400.
# While openssl runs, the secret is in its arguments, which other users of this machine may list.
set -eu
export LC_ALL=C

method=$1 url=${2%%#*} body=${3-} type=${4-application/json}
[ -n "$body" ] || type=

target=${url#*://}
host=${target%%[/?]*}
target=${target#"$host"}
host=${host##*@}
host=$(printf %s "${host%%:*}" | tr A-Z a-z)
path=${target%%\?*}
path=${path:-/}
case $target in *\?*) query=${target#*\?} ;; *) query= ;; esac

base64() { openssl base64 -A; }
lower() { printf %s "$1" | tr A-Z a-z; }

checksum=
case $method\ $(lower "$type") in
POST\ application/x-www-form-urlencoded*) query=$body ;;
*) [ -z "$body" ] || checksum=$(printf %s "$body" | openssl dgst -sha1 -binary | base64) ;;
esac
query=$(printf %s "$query" | tr '&' '\n' | sed -e '/^$/d' -e '/^bk-signature/d' |
    sort | paste -s -d '&' -)

expires=${BK_EXPIRES-$(($(date +%s) + 60))000}
tag=${BK_TAG-$(openssl rand -hex 8)}
digest=$(printf '%s\n' 4 "$tag" "$BK_LOGIN" "$method" "$host" "$path" "$query" "$expires" \
    "$(lower "$type")" "$checksum" |
    openssl dgst -sha256 -hmac "$BK_SECRET" -binary | base64)

set -- --silent --show-error --globoff --path-as-is --fail-with-body --request "$method" \
    --header "bk-signature: 4|$tag|$BK_LOGIN|$digest|$expires|$checksum|"
if [ -n "$body" ]; then
    set -- "$@" --header "content-type: $type" --data-binary @-
fi
printf %s "$body" | curl "$@" -- "$url"
