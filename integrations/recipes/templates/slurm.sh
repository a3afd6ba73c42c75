#!/bin/bash
# @title
# SLURM: sbatch slurm.sh   from this folder, which all nodes share; partition and account as your site asks
#SBATCH --job-name=@name
#SBATCH --nodes=@nodes
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=@node_gpus
#SBATCH --cpus-per-task=@node_cpus
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=2-00:00:00
#SBATCH --output=slurm-%j.log
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}  # where this script runs
port=$((20000 + SLURM_JOB_ID % 4000))  # not Ray's own ports, which a cluster of somebody else may have
dashboard=$((port + 4000))
ip=$(python3 -c 'import ray; print(ray.util.get_node_ip_address())')  # Ray has trouble with names in /etc/hosts
cpus=@node_cpus  # srun does not take them over from sbatch
srun --nodes=1 --ntasks=1 --cpus-per-task="$cpus" --nodelist="$head" \
  ray start --head --port="$port" --dashboard-port="$dashboard" --dashboard-agent-listen-port=$((port + 8000)) \
  --num-cpus="$cpus" --num-gpus=@node_gpus --block &
sleep 20
for node in "${nodes[@@]:1}"; do
  srun --nodes=1 --ntasks=1 --cpus-per-task="$cpus" --nodelist="$node" \
    ray start --address="$ip:$port" --num-cpus="$cpus" --num-gpus=@node_gpus --block &
done
export RAY_ADDRESS="$ip:$port" RAY_DASHBOARD="http://127.0.0.1:$dashboard"
count='import ray; ray.init(log_to_driver=False); print(sum(node["Alive"] for node in ray.nodes()))'
for try in {1..60}; do
  there=$(python3 -c "$count" 2> /dev/null) || there=0
  if [ "$there" = @nodes ]; then break; fi
  if [ "$try" = 60 ]; then echo "Ray has $there of @nodes nodes: see what 'ray start' said above." >&2; exit 1; fi
  sleep 5
done
bash launch.sh "$@@"
