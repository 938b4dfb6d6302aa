"""What a person looks at after training: metrics, baselines, curves, a verdict."""
