"""Real attacks on the sandbox, by family; ``conftest.py`` beside this folder makes it importable."""

import platform

from attacks import cheats, determinism, files, hooks, kernel, memory, native, network, processes

FAMILIES = {
    module.__name__.rpartition(".")[2]: module.GROUPS
    for module in (files, network, processes, memory, native, kernel, determinism, cheats, hooks)
}
GROUPS = tuple(group for groups in FAMILIES.values() for group in groups)
ATTACKS = tuple(attack for group in GROUPS for attack in group.attacks if attack.machine in ("", platform.machine()))
