"""The commands, a function each: options in, calls, what is printed; the exit status back."""
