"""The retraining study: networks, their training, and what becomes of their explanations."""
