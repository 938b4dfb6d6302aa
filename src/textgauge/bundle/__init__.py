"""What a trained classifier is on disk, and how it predicts without torch."""
