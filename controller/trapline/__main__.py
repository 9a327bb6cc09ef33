"""`python -m trapline` is `trapline`."""

from trapline.cli import main

if __name__ == "__main__":
    main()
