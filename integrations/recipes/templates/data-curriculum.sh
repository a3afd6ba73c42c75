#!/bin/bash
# @title
# One row for each of @prompts groups; the curriculum chooses the problem of each when its rollouts begin.
# MEASURED is a file of measured problems or a run folder: code-envs generate … -o runs/first
set -euo pipefail
MEASURED=$(realpath "${MEASURED:?set it to measured problems, such as runs/first}")
cd "$(dirname "$0")"
if [ -d "$MEASURED" ]; then MEASURED=$MEASURED/problems.jsonl; fi
cp "$MEASURED" measured.jsonl
code-envs curriculum simulate @policy measured.jsonl --steps @steps --batch-size @batch_size --group-size @group_size
code-envs export measured.jsonl --for openrlhf --service @service_name --count @prompts -o data
