#!/bin/bash
# @title
# Submits the training to the Ray cluster of this machine, and follows it. Start one first, with the environment
# that code-envs and openrlhf are installed in:   ray start --head
# Flags given here are passed on and win:    bash launch.sh --actor.adam.lr 5e-7
# Interrupting it stops the training; the same command goes on from the last checkpoint.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
test -s data/train.jsonl || { echo "There is no data/train.jsonl: run 'bash data.sh' first." >&2; exit 2; }
rows=$(wc -l < data/train.jsonl)
episodes=$(( (@prompts + rows - 1) / rows ))  # whole ones, for at least @steps steps of @batch_size problems
echo "$rows rows, $episodes times: $(( rows * episodes / @batch_size )) steps"
evaluation=()
if [ -s data/eval.jsonl ]; then
  echo "$(wc -l < data/eval.jsonl) other problems to evaluate on"
  evaluation=(--eval.dataset "$here/data/eval.jsonl" --eval.steps @eval_every)
fi
resume=()
if [ -d checkpoints/_actor ]; then
  resume=(--ckpt.load_enable)
fi
dashboard=${RAY_DASHBOARD:-http://127.0.0.1:8265}
job=@name-$(date +%Y%m%d-%H%M%S)
trap 'ray job stop --address="$dashboard" "$job"; exit 130' INT TERM
@{service}ray job submit --address="$dashboard" --submission-id="$job" -- \
  python3 -m openrlhf.cli.train_ppo_ray \
@flags
  --train.agent_func_path "$(code-envs path openrlhf)" \
  --data.prompt_dataset "$here/data/train.jsonl" \
  --ckpt.path "$here/checkpoints" \
  --ckpt.output_dir "$here/model" \
  --logger.tensorboard_dir "$here/tensorboard" \
  "${evaluation[@@]}" "${resume[@@]}" "$@@"
