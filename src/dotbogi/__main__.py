"""``python -m dotbogi`` is ``dotbogi``."""

from dotbogi.cli.main import main

if __name__ == "__main__":
    main()
