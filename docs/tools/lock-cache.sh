# lock-cache.sh: sourced by scripts that write to build/cache or have make write there: one at a time, until the shell that calls lock_cache ends. Current
# directory: the project's top folder.
lock_cache() { # WHO
    mkdir -p build/cache
    exec 8>build/cache/.lock
    command -v flock >/dev/null || return 0 # no util-linux: as if alone
    flock -n 8 && return
    echo "$1: another script is at work in build/cache; waiting for it to end" >&2
    flock 8
}
