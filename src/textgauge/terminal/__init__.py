"""What a person sees in a terminal: progress on standard error, results on standard output."""
