"""The two walks, top to bottom: `ask` a song, and `build` a model.

```
ask     song  ─prepare→ clips ─┬─embed───→ frames ─┐
                               └─annotate→ facts  ─┴─answer→ text
build   files ─prepare→ clips ─┬─annotate→ annotations ─instruct→ exchanges ─┐
                               └─embed───→ embeddings ───────────────────────┴─train→ model ─evaluate→ report
```

The rooms do the work and know nothing of each other; `walks` leads each stage through those that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llark.pipeline.ask import Choice
    from llark.report.text import AskResult


def ask(
    path: Path, questions: Sequence[str], *, facts: bool | None = None, choice: Choice | None = None
) -> AskResult:
    """Answers to questions about a recording of any length, with the facts measured in it.

    The whole song is heard, window by window, by the annotators and by the encoder that the model was trained
    with; `facts` says whether the model is shown what was measured (if not said: if it was trained to).
    Raises `BadAudio` or `UserMustAct` with one clear sentence.
    """
    from llark.pipeline.ask import MusicLM

    return MusicLM(choice).ask(path, *questions, facts=facts)


def demo_recording() -> Path:
    """The recording that ships with the package."""
    return Path(str(files("llark") / "weights" / "demo" / "feelings.ogg"))


def build(
    recipe_path: Path, out: Path, *, overrides: Sequence[str] = (), limit: int | None = None, workers: int = 2
) -> str:
    """Every stage of a recipe into `out`; returns the report's table. Run again, a stopped build goes on."""
    from llark import recipe as recipes
    from llark.pipeline import build as building
    from llark.pipeline import listen, rendered
    from llark.train import distributed

    recipe = recipes.load(recipe_path, overrides)
    if limit is not None:
        recipe = building.small(recipe, limit)
    with distributed.main_first() as is_main:
        if is_main:
            if recipe.prepare.source is None:
                rendered.render(recipe, out, workers)
                rendered.prepare(out / "corpus", out / "clips", recipe.prepare.window_seconds)
            else:
                building.gather(recipe, out, limit, workers)
            encoder = building.settings_of(recipe)
            listen.listen(out / "clips", out / "annotations", out / "embeddings", encoder, workers)
            if recipe.train.facts_share:
                rendered.instruct(recipe, out)
            else:
                building.instruct(recipe, out)
    return building.report(recipe, out) if building.train(recipe, out) else ""
