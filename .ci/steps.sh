# For scripts to source: steps with their times, and tools that are installed when missing.

. .ci/env
STEPS=() STEP="" STEP_STARTED=0 STEP_CPU=0 STARTED=$SECONDS

# step TITLE: ends the step before and begins one.
step() {
    end_step
    STEP=$1 STEP_STARTED=$SECONDS STEP_CPU=$(cpu_seconds)
    printf '\n== %s\n' "$1"
}

end_step() {
    [ -z "$STEP" ] || STEPS+=("$(row $((SECONDS - STEP_STARTED)) $(($(cpu_seconds) - STEP_CPU)) "$STEP")")
    STEP=""
}

row() { printf '%5d s  %5d CPU s  %s' "$@"; }

# The CPU seconds of this shell's children that have ended.
cpu_seconds() {
    # `cutime` and `cstime` of proc(5), which are in clock ticks.
    awk -v ticks="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%d", ($14 + $15) / ticks }' "/proc/$$/stat"
}

# Prints the time of each step, also of the one that failed.
report() {
    local status=$?
    end_step
    printf '\n== Times of the steps\n'
    printf '%s\n' "${STEPS[@]}"
    echo "$(row $((SECONDS - STARTED)) "$(cpu_seconds)" altogether)"
    return $status
}
trap report EXIT

# need COMMAND PACKAGE: installs Debian's package when the command is missing.
need() {
    command -v "$1" >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends "$2"; } >/dev/null
}

# The Python of the peers, with their packages.
python_with_peers() {
    PYTHON=target/ci-venv/bin/python
    if [ ! -x "$PYTHON" ]; then
        python3 -m venv target/ci-venv || { need_venv && python3 -m venv target/ci-venv; }
    fi
    target/ci-venv/bin/pip install -q --disable-pip-version-check -r .ci/peers/requirements.txt
}

need_venv() { apt-get update -q && apt-get install -qy python3-venv; }
