#!/bin/sh
# Debian packages that the tests use as real neighbours. Installs what is missing when it may;
# says loudly what is missing otherwise.
set -u

missing=""
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"; }

need knotd knot
need kdig knot-dnsutils
need dig dnsutils
need unbound unbound
need postfix postfix
need chromium chromium
need postfix postfix
[ -x /usr/lib/postgresql/15/bin/postgres ] || missing="$missing postgresql-15"

[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "==================================================================="
    echo "MISSING for the full suite:$missing"
    echo "As root on Debian: apt-get install$missing"
    echo "Tests that need them fail, or are named in the summary of pytest."
    echo "==================================================================="
    exit 0
fi

echo "Installing what the tests run against:$missing"
# No daemon may start by itself: the tests start their own, on free ports.
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made_policy=1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
status=$?
[ -n "$made_policy" ] && rm -f "$policy"
if [ "$status" -ne 0 ]; then
    echo "WARNING: could not install$missing; tests that need them fail."
fi
exit 0
