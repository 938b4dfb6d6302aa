"""`python -m textgauge` is the command `textgauge`."""

from .cli import main

if __name__ == "__main__":
    main()
