#!/bin/bash
# @title
# The problems of the mix "@mix". Of another size: MIX_SCALE=0.1 bash data.sh
# Held out to evaluate on: EVAL_SHARE=0.01, more of a small mix, or 0 for none
set -euo pipefail
@needs
cd "$(dirname "$0")"
code-envs curriculum mix @mix @named --scale "${MIX_SCALE:-1}" -o problems.jsonl
code-envs export problems.jsonl --for openrlhf --labels key --eval-share "${EVAL_SHARE:-0.01}" -o data
