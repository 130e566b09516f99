# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # the scripts end with $failed
# Checks as sentences; sourced by the scripts that run in the fresh Debian.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
work=$(mktemp -d -p /source)
failed=0

# check SENTENCE COMMAND…
check() {
    local sentence=$1
    shift
    if "$@" >"$work/check" 2>&1; then
        echo "ok      $sentence"
    else
        echo "FAILED  $sentence"
        sed 's/^/        /' "$work/check"
        failed=1
    fi
}

# says STATUS TEXT COMMAND…: exits so and prints that.
says() {
    local status=$1 text=$2 got=0
    shift 2
    "$@" >"$work/says" 2>&1 || got=$?
    cat "$work/says"
    [[ $got == "$status" ]] && grep -qF -- "$text" "$work/says"
}

# is_silent COMMAND…: succeeds and prints nothing.
is_silent() {
    "$@" >"$work/silent" 2>&1 || echo "exit $?" >>"$work/silent"
    cat "$work/silent"
    [[ ! -s $work/silent ]]
}

# soon COMMAND…: holds within twenty seconds.
soon() {
    local end=$((SECONDS + 20))
    until "$@" >"$work/soon" 2>&1; do
        if ((SECONDS > end)); then
            cat "$work/soon"
            return 1
        fi
        sleep 0.1
    done
}
