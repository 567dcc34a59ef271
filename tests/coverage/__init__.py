"""Coverage: hand-computed cases, properties, and the worked example."""
