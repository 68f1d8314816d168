# What the server scripts beside this file share. A script sets KIND, PRODUCT and VERSION and ends with
# `main "$@"`. It defines
#   run        start the server with its data in $DATA on $PORT, wait until it answers, set URL
#   fetch      bring what it needs into $APP, the current folder (SOURCES: files beside this one that it takes)
#   packages   have what the machine itself must have: Debian packages, a JDK
# the last two only where there is something to do.
#
#   NAME start DIR [PORT]   have everything, start on 127.0.0.1, print the URL (PORT 0 or none: a free one)
#   NAME stop DIR           end it and wait until it is gone; its data stay, `start` finds them again
#   NAME install            only have everything
#   NAME version            `real Product 1.2.3`; real, compatible (others' server, same protocol) or fake (ours)
#
# Status: 0 done, 1 it is there but did not start, 2 wrong use, 3 it cannot be had on this machine.
# Files in DIR: NAME/ (data), NAME.log, NAME.pid (one pid a line), NAME.born (when each was born), NAME.url.
# What is fetched is kept in BKJS_SERVERS, else in bkjs-servers in the folder for caches (XDG).
set -euo pipefail
umask 022

NAME=$(basename "$0")
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SELF=$(cd "$(dirname "$0")" && pwd)/$NAME
if [ -n "${BKJS_SERVERS:-}" ]; then CACHE=$BKJS_SERVERS
elif [ -n "${XDG_CACHE_HOME:-}" ]; then CACHE=$XDG_CACHE_HOME/bkjs-servers
elif [ -w "${HOME:-/nowhere}" ]; then CACHE=$HOME/.cache/bkjs-servers
else CACHE=${TMPDIR:-/tmp}/bkjs-servers-$(id -u); fi
KIND=real PRODUCT=$NAME VERSION= SOURCES= PATIENCE=60

say() { echo "$NAME: $*" >&2; }
fail() { say "$*"; clean; exit 1; }
cannot() { say "not to be had here: $*"; clean; exit 3; }
clean() { [ -z "${DIR:-}" ] || [ -n "$(pids)" ] || rm -f "$DIR/$NAME.pid" "$DIR/$NAME.born" "$DIR/$NAME.url"; }
has() { command -v "$1" >/dev/null 2>&1; }
needs() { has "$1" || cannot "no $1"; }

packages() { :; }

# ---- fetching -------------------------------------------------------------------------------------------

# Make $APP complete: one process at a time, once for every `fetch`; the output goes into a file.
provide() {
    local source
    packages
    [ "$(type -t fetch)" = function ] || return 0
    APP=$CACHE/$NAME-$VERSION-$({ declare -f fetch; for source in $SOURCES; do cat "$HERE/$source"; done; } | cksum | cut -d' ' -f1)
    [ -f "$APP/.complete" ] && return
    mkdir -p "$CACHE" 2>/dev/null || cannot "no folder $CACHE (set BKJS_SERVERS)"
    (
        flock 9
        [ ! -f "$APP/.complete" ] || exit 0
        say "fetching $PRODUCT $VERSION"
        rm -rf "$APP"; mkdir -p "$APP"
        # a process of its own: `set -e` would not hold in a function called in a condition
        "$SELF" _fetch "$APP" >"$CACHE/$NAME.install" 2>&1 9>&- || {
            tail -n 15 "$CACHE/$NAME.install" >&2
            cannot "the installation failed, see $CACHE/$NAME.install"
        }
        touch "$APP/.complete"
    ) 9>"$CACHE/$NAME.lock"
}

# Run a command while no other one with the same lock runs: `locked NAME CMD...`.
locked() { mkdir -p "$CACHE"; (flock 8; "${@:2}" 8>&-) 8>"$CACHE/$1.lock"; }

# `debian PROGRAM PACKAGE...`: install the packages unless the program is there. No service is started.
debian() {
    has "$1" && return
    [ "$(id -u)" = 0 ] && has apt-get || cannot "no $1; as root: apt-get install ${*:2}"
    say "installing ${*:2}"
    locked apt _debian "${@:2}" || cannot "apt-get install ${*:2} failed, see $CACHE/apt.install"
    hash -r
    has "$1" || cannot "no $1 after apt-get install ${*:2}"
}
# in a session of its own: who gives up waiting must not leave half a package behind
_debian() {
    local try
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    set -- apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
    for try in 1 2 3; do      # another apt-get may hold the lists
        { setsid -w "$@" || { setsid -w apt-get -q update && setsid -w "$@"; }; } </dev/null >"$CACHE/apt.install" 2>&1 && return
        sleep 5
    done
    return 1
}

# `java_home 17`: JAVA is the java of a JDK of that version, else of a newer one.
java_home() {
    local found exact
    for exact in 1 0; do
        for found in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/* "$(dirname "$(dirname "$(command -v java || true)")")"; do
            JAVA=$found/bin/java
            [ -x "$JAVA" ] && [ -x "${JAVA}c" ] || continue
            [ "$(_java_version)" = "$1" ] || { [ $exact = 0 ] && [ "$(_java_version)" -gt "$1" ]; } || continue
            return 0
        done
    done
    debian javac "openjdk-$1-jdk-headless"
    JAVA=$(dirname "$(command -v javac)")/java
}
_java_version() { "$JAVA" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p;T;q'; }

# `maven G:A:V...`: these jars and those they need, in lib/ of the current folder.
maven() {
    local gav g a v
    {
        echo '<project><modelVersion>4.0.0</modelVersion><groupId>bkjs</groupId><artifactId>servers</artifactId>'
        echo '<version>1</version><dependencies>'
        for gav; do
            IFS=: read -r g a v <<<"$gav"
            echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
        done
        echo '</dependencies></project>'
    } >pom.xml
    locked maven mvn -q -B -ntp org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory=lib </dev/null
}

# `maven_file G:A:V`: that file alone, in the current folder.
maven_file() {
    locked maven mvn -q -B -ntp org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$1" -DoutputDirectory="$PWD" </dev/null
}

# `venv PACKAGE==VERSION...`: a virtual environment in venv/ of the current folder.
venv() {
    python3 -m venv venv || { locked apt _debian python3-venv; python3 -m venv --clear venv; }
    venv/bin/pip install -q --disable-pip-version-check "$@" </dev/null
}

npm_packages() {
    echo '{"private": true}' >package.json
    npm install --no-audit --no-fund --loglevel=error "$@" </dev/null
}

# `go_program MODULE/PACKAGE@VERSION...`: the programs in bin/ of the current folder.
go_program() {
    mkdir -p bin
    GOBIN=$PWD/bin GOFLAGS=-trimpath go install -ldflags='-s -w' "$@"
}

# ---- running --------------------------------------------------------------------------------------------

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# `spawn CMD...`: start it in a session of its own, output into NAME.log, and note its pid.
spawn() {
    setsid -- "$@" </dev/null >>"$DIR/$NAME.log" 2>&1 &
    note $!
}
# `as USER CMD...`: spawn as that user when we are root (some servers refuse root).
as() {
    local user=$1; shift
    if [ "$(id -u)" = 0 ]; then spawn setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"; else spawn "$@"; fi
}
# `finish`: wait for the last one spawned and forget it, its status is ours.
finish() { local status=0; wait $! || status=$?; sed -i '$d' "$DIR/$NAME.pid" "$DIR/$NAME.born"; return $status; }
note() { echo "$1" >>"$DIR/$NAME.pid"; echo "$1 $(born "$1")" >>"$DIR/$NAME.born"; }
# the start time of a process: tells it from a later one with the same pid
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
pids() {    # those that we started and that still run
    local pid time
    [ -f "$DIR/$NAME.born" ] || return 0
    while read -r pid time; do
        [ -n "$time" ] && [ "$(born "$pid")" = "$time" ] && [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ] && echo "$pid"
    done <"$DIR/$NAME.born" || true
}

# `await CMD...`: until it succeeds, for PATIENCE seconds; gives up when a process of ours has ended.
await() {
    local end=$((SECONDS + PATIENCE)) started
    started=$(wc -l <"$DIR/$NAME.born")
    until "$@" >/dev/null 2>&1; do
        [ "$(pids | wc -l)" = "$started" ] || broken "it ended at once"
        [ $SECONDS -lt $end ] || broken "no answer after $PATIENCE s"
        sleep 0.1
    done
}
broken() {
    tail -n 25 "$DIR/$NAME.log" >&2 || true
    stop
    fail "$1; see $DIR/$NAME.log"
}
open_port() { (exec 3<>"/dev/tcp/127.0.0.1/${1:-$PORT}") 2>/dev/null; }
# `http URL [PATTERN]`: it answers below 400 and the body holds PATTERN
http() { python3 - "$@" <<'P'
import re, sys, urllib.request
body = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5).read().decode(errors="replace")
sys.exit(0 if re.search(sys.argv[2] if len(sys.argv) > 2 else "", body) else 1)
P
}

stop() {
    local list end
    list=$(pids | tac)
    [ -z "$list" ] || kill $list 2>/dev/null || true
    end=$((SECONDS + 30))
    while [ -n "$(pids)" ]; do
        if [ $SECONDS -ge $end ]; then
            say "killing $(pids | xargs)"
            kill -9 $(pids) 2>/dev/null || true
            end=$((SECONDS + 30))
        fi
        sleep 0.05
    done
    clean
}

start() {
    if [ -n "$(pids)" ] && [ -f "$DIR/$NAME.url" ]; then cat "$DIR/$NAME.url"; return; fi
    stop
    [ "$PORT" != 0 ] || PORT=$(free_port)
    ! open_port || fail "port $PORT is taken"
    provide
    mkdir -p "$DATA"
    : >"$DIR/$NAME.log"; : >"$DIR/$NAME.pid"; : >"$DIR/$NAME.born"
    trap 'broken "interrupted"' INT TERM
    URL=
    run
    echo "$URL" >"$DIR/$NAME.url"
    echo "$URL"
}

version() { echo "$VERSION"; }

main() {
    local usage="usage: $NAME start DIR [PORT] | stop DIR | install | version"
    case "${1:-}" in
    start|stop)
        [ $# -ge 2 ] && [ $# -le 3 ] || { echo "$usage" >&2; exit 2; }
        mkdir -p "$2"; DIR=$(cd "$2" && pwd); DATA=$DIR/$NAME PORT=${3:-0}
        [[ $PORT =~ ^[0-9]+$ ]] || { echo "$usage" >&2; exit 2; }
        "$1" ;;
    install) provide ;;
    version) local number; [ -n "$VERSION" ] || packages; number=$(version); echo "$KIND $PRODUCT $number" ;;
    _fetch) APP=$2; cd "$APP"; packages; set -x; fetch ;;
    *) echo "$usage" >&2; exit 2 ;;
    esac
}
