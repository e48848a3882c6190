"""Every kind of question there is."""

from __future__ import annotations

from llark.questions import (
    advice,
    beyond,
    caption,
    everyday,
    form,
    harmony,
    named,
    pairs,
    rhythm,
    sound,
    timing,
    tonal,
)

BASIC_KINDS = (*rhythm.KINDS, *harmony.KINDS, *sound.KINDS, *caption.KINDS, *tonal.KINDS, *timing.KINDS)
"""Short questions, on the facts of `music.facts_line.describe_facts` and few others."""

TAUGHT_KINDS = (*BASIC_KINDS, *form.KINDS, *advice.KINDS)
"""Those at more length and about more facts, too: what the offline teacher asks."""

ALL_KINDS = (*TAUGHT_KINDS, *everyday.KINDS, *pairs.KINDS, *named.KINDS, *beyond.KINDS)
"""Also what people ask who do not learn from the answer."""

BY_SLUG = {kind.slug: kind for kind in ALL_KINDS}
