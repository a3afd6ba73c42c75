#!/bin/bash
# @title
# One row for each of @prompts groups; the curriculum chooses the problem of each when its rollouts begin.
# MEASURED is a file of measured problems or a run folder: code-envs generate … -o runs/first
# A share of them is held out for evaluation, whole chains at a time: EVAL_SHARE=0.1 bash data.sh
set -euo pipefail
MEASURED=$(realpath "${MEASURED:?set it to measured problems, such as runs/first}")
cd "$(dirname "$0")"
code-envs export "$MEASURED" --for openrlhf --service @service_name --count @prompts \
  --eval-share "${EVAL_SHARE:-0.05}" --eval-bins broad -o data
# What the curriculum would take of the problems that are left; fails if one of its bins has none.
code-envs curriculum simulate @policy data/served.jsonl --steps @steps --batch-size @batch_size --group-size @group_size
