"""Looking at graphs and at what a step touches: text, pictures, explanations."""
