"""The agent file of OpenRLHF: ``--train.agent_func_path "$(code-envs path openrlhf)"``.

Loaded by its path into every inference engine. One file for all environments, with one answer or
several: the label of each row says which, see :mod:`code_envs.integrations.openrlhf_labels`.
"""

from code_envs.integrations.openrlhf_agent import make_agent_executor

AgentExecutor = make_agent_executor()
