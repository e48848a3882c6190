"""How much of a model's score comes from the sound: benchmarks, controls, reports."""
