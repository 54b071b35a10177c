"""`python -m rodent` is `rodent`."""

from rodent.cli import main

if __name__ == "__main__":
    main()
