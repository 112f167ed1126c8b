#!/bin/sh
# Stands in for a tool of a VM that is replayed: answers what the real tool answered to the same arguments. It is
# called through a link that has the tool's name, beside the `recording` that holds the answers.
call=${0##*/}
for argument; do call=${call}_$argument; done
answer=${0%/*}/../recording/commands/$call
if [ ! -e "$answer.out" ]; then
  printf '%s: this call was not recorded\n' "$call" >&2
  exit 125
fi
cat "$answer.out"
if [ -e "$answer.err" ]; then cat "$answer.err" >&2; fi
if [ -e "$answer.exit" ]; then exit "$(cat "$answer.exit")"; fi
