#!/usr/bin/env bash
# Train over the nodes of a SLURM job: sbatch --nodes 4 tools/slurm.sh --task run --envs 4096 --run-dir runs/large ...
#
# Submit it from the repository, with flags of `rodent train`; --run-dir must lie where every node can read it. One rank a
# core simulates and learns (RANKS sets another number a node; --envs must divide by all of them, and --threads is 1 unless
# a flag says otherwise). A rank that dies is restarted with all others from the last checkpoint, up to MAX_RESTARTS times.
# Two minutes before its time is over the job ends with a checkpoint and queues itself again, to go on from there.
#SBATCH --job-name=rodent
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?run this with sbatch}"
venv=${VENV:-.venv}
ranks=${RANKS:-$SLURM_CPUS_PER_TASK}
read -r first_node < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
port=$((20000 + SLURM_JOB_ID % 10000)) # so that jobs that share a node do not meet

requeue=0
again() {
    echo "slurm.sh: the time is nearly over: ending with a checkpoint" >&2
    requeue=1
    scancel --signal=TERM "$SLURM_JOB_ID" # the steps, not this script; srun would end them by SIGKILL
}
trap again TERM

srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 "$venv/bin/torchrun" \
    --nnodes "$SLURM_NNODES" --nproc-per-node "$ranks" --rdzv-backend c10d \
    --rdzv-endpoint "$first_node:$port" --rdzv-id "$SLURM_JOB_ID" --max-restarts "${MAX_RESTARTS:-3}" \
    -m rodent train --threads 1 "$@" --resume &
code=0
wait "$!" || code=$?
if [ "$requeue" = 1 ]; then
    wait "$!" || true # the signal ended the first wait, not the run
    exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
