#!/bin/bash
# @title
# Submits the training to the Ray cluster of this machine. Start one first, with the environment that
# code-envs and openrlhf are installed in:   ray start --head
# Flags given here are passed on and win:    bash launch.sh --actor.adam.lr 5e-7
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
test -s data/train.jsonl || { echo "There is no data/train.jsonl: run 'bash data.sh' first." >&2; exit 2; }
rows=$(wc -l < data/train.jsonl)
episodes=$(( (@prompts + rows - 1) / rows ))  # @steps steps of @batch_size problems
evaluation=()
if [ -s data/eval.jsonl ]; then
  evaluation=(--eval.dataset "$here/data/eval.jsonl" --eval.steps @eval_every)
fi
resume=()
if [ -d checkpoints/_actor ]; then
  resume=(--ckpt.load_enable)  # the same command goes on after a stop
fi
@service
ray job submit --address="${RAY_DASHBOARD:-http://127.0.0.1:8265}" -- \
  python3 -m openrlhf.cli.train_ppo_ray \
@flags
  --train.agent_func_path "$(code-envs path openrlhf)" \
  --data.prompt_dataset "$here/data/train.jsonl" \
  --ckpt.path "$here/checkpoints" \
  --ckpt.output_dir "$here/model" \
  --logger.tensorboard_dir "$here/tensorboard" \
  "${evaluation[@@]}" "${resume[@@]}" "$@@"
