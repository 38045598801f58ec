#!/usr/bin/env bash
# Words and names that this project replaced, which must not come back: `make check` runs this.
set -euo pipefail
cd "$(dirname "$0")/.."

# In prose and comments, with what to write instead.
words='but for|except
makes up for|sends late, catches up
held against|tested against
so many `|that many
first so many|first N
in the clear|over plain HTTP
lets go of|closes
is answered 204|gets a 204
are answered|get
are 431|get a 431
who vanished|that vanished
who never reads?|that never read
for who|for clients that
wrong of it|wrong
times of it|times that
comes back|reconnects
stands in|is in
the wire|the raw bytes
beside `|only with
whoever|a client that
lest|so that
'
# In names.
names='attend|serve, reset_stuck
admit|accept
Places?|Permits
Calm|Corked
Turn|the ready queue
Joined|Coalesced
Shaken|Negotiated
Answered|Result<_, Rejection>
Refusal|Rejection
is_of_its_interval_alone|is_plain
is_warned_of|is_self_signed
keep_pages_small|disable_transparent_huge_pages
as_asked|with_faults
grid|resume
Look|Fields
Cut|Aborted
Flow|EventBody
Beat|Tick, Gap
Given|Source
Shape|Framing
Wire|ServerIo
MOST|MAX_ and what it bounds
'
git rev-parse HEAD >/dev/null # no repository is no success
status=0
check() { # PATHS... with the list on stdin
  while IFS='|' read -r word instead; do
    [ -z "$word" ] && continue
    if git grep -nwE -e "$word" -- "$@" ':!tests/words.sh' ':!*.json' ':!*.svg'; then
      echo "  write instead of \"$word\": $instead" >&2
      status=1
    fi
  done
}
check '*.md' '*.rs' '*.mjs' '*.cjs' '*.js' '*.*ts' '*.py' '*.html' '*.sh' '*.yml' '*.toml' Makefile '*Dockerfile' <<<"$words"
check '*.rs' <<<"$names"
exit $status
