"""How much of what a model says is hearing: benchmarks, controls, reports. The model is a callable."""
