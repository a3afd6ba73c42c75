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
full=$(( rows / @batch_size ))  # the trainer makes no update of a step that the rows do not fill
test "$full" -gt 0 || { echo "data/train.jsonl has $rows rows, and a step takes @batch_size: make more problems." >&2; exit 2; }
episodes=$(( (@steps + full - 1) / full ))
echo "$rows rows, $episodes times: $(( full * episodes )) steps"
evaluation=()
if [ -s data/eval.jsonl ]; then
  echo "$(wc -l < data/eval.jsonl) other problems to evaluate on"
  evaluation=(--eval.dataset "$here/data/eval.jsonl" --eval.steps @eval_every)
fi
resume=()
if [ -s checkpoints/_actor/latest ]; then  # a first checkpoint that was not finished has none
  resume=(--ckpt.load_enable)
fi
dashboard=${RAY_DASHBOARD:-http://127.0.0.1:8265}
job=@name-$(date +%Y%m%d-%H%M%S)
stop() {
  trap '' INT TERM HUP
  set +e
  kill "$!" && wait "$!"
  ray job stop --address="$dashboard" "$job"
  exit 130
}
trap stop INT TERM HUP
@{service}ray job submit --address="$dashboard" --submission-id="$job" -- \
  python3 -m openrlhf.cli.train_ppo_ray \
@flags
  --train.agent_func_path "$(code-envs path openrlhf)" \
  --data.prompt_dataset "$here/data/train.jsonl" \
  --ckpt.path "$here/checkpoints" \
  --ckpt.output_dir "$here/model" \
  --logger.tensorboard_dir "$here/tensorboard" \
  "${evaluation[@@]}" "${resume[@@]}" "$@@" &
wait "$!"  # a shell that waits hears a signal at once; one that runs a command, only after it
