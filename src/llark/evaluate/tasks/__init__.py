"""One benchmark a file, each a docstring with its paper and conventions and one value, `TASK`.

`TASKS` finds them by listing this folder.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from llark.evaluate.options import OptionTask
from llark.evaluate.task import Task


def _listed() -> dict[str, Task]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").TASK for name in names}


TASKS: Mapping[str, Task] = _listed()

QUESTION_TASKS: Mapping[str, OptionTask] = {
    name: task for name, task in TASKS.items() if isinstance(task, OptionTask)
}
"""Those with a file of questions."""
