#!/bin/bash
# @title
# SLURM: sbatch slurm.sh   from this folder, which all nodes share; partition and account as your site asks
#SBATCH --job-name=@name
#SBATCH --nodes=@nodes
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=@node_gpus
#SBATCH --cpus-per-task=@node_cpus
#SBATCH --exclusive
#SBATCH --time=2-00:00:00
#SBATCH --output=slurm-%j.log
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 10000))
srun --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --port="$port" --dashboard-host=0.0.0.0 --num-gpus=@node_gpus --block &
sleep 20
for node in "${nodes[@@]:1}"; do
  srun --nodes=1 --ntasks=1 --nodelist="$node" ray start --address="$head:$port" --num-gpus=@node_gpus --block &
done
export RAY_ADDRESS="$head:$port" RAY_DASHBOARD="http://$head:8265"
until [ "$(python3 -c 'import ray; ray.init(log_to_driver=False); print(len(ray.nodes()))' 2> /dev/null)" = @nodes ]; do
  sleep 5
done
bash launch.sh "$@@"
