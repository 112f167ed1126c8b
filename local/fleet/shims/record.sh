#!/bin/sh
# Stands in for a tool while the fleet is recorded: runs the real one, which it finds on NFI_RECORD_PATH, and keeps its
# arguments and its answer in NFI_RECORD_TO. It is called through a link that has the tool's name.
kept=$NFI_RECORD_TO/$$
printf '%s\n' "${0##*/}" "$@" >"$kept.argv"
real=$(
  PATH=$NFI_RECORD_PATH
  command -v "${0##*/}"
)
"$real" "$@" >"$kept.out" 2>"$kept.err"
code=$?
printf '%s' "$code" >"$kept.exit"
cat "$kept.out"
cat "$kept.err" >&2
exit "$code"
