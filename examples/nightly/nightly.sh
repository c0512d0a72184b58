#!/bin/sh
# One night: clean a folder of documents, then hold what is released against the policy.
#
#     nightly.sh INPUT OUT
#
# Settings are in unrote.toml, limits in policy.toml, both in the folder it is started in. The exit
# status is unrote's: 0 released, 1 refused, 2 cannot be started, 3 failed (the same command
# continues it), 4 the night before is still at work an hour later.
set -eu
unrote clean "$1" -o "$2" -c unrote.toml --set output.lock_timeout=3600
unrote gate "$2/data" --policy policy.toml -c unrote.toml -o "$2-gate" --format markdown="$2-gate.md"
