"""Rewrites `data/evaluate/bertscore.json`: what the package bert_score says of tiny random encoders.

    pip install bert_score && python tests/evaluate/bertscore_goldens.py

Its numbers alone are stored. The encoders are those of `tiny_encoders`, the same on every machine. The
package puts a space before a text for RoBERTa, which `transformers` 5 ignores: the tokenizer does it here.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tiny_encoders import LAYER, PEOPLE, SAID, write_encoder

GOLDENS = Path(__file__).parents[1] / "data" / "evaluate" / "bertscore.json"


def theirs(folder: Path) -> list[list[float]]:
    """[answers, 3]: precision, recall, F1 by the reference."""
    from bert_score import score
    from transformers import PreTrainedTokenizerBase

    PreTrainedTokenizerBase.build_inputs_with_special_tokens = lambda self, ids: self.encode("")  # it is gone
    found = score(SAID, [list(refs) for refs in PEOPLE], model_type=str(folder), num_layers=LAYER, idf=False)
    return [[float(value) for value in row] for row in zip(*found, strict=True)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            kind: theirs(write_encoder(Path(folder) / kind, kind, spaced=True))
            for kind in ("bert", "roberta")
        }
    GOLDENS.write_text(json.dumps(rows, indent=1) + "\n")
