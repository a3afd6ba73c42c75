# The curriculum is an actor of the cluster, which every rollout asks; its state is in ./curriculum.
code-envs curriculum serve curriculum.toml --name @service_name -o curriculum &
service=$!
trap 'kill -TERM $service 2> /dev/null || true; wait $service || true' EXIT
