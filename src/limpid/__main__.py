"""``python -m limpid``."""

from limpid.cli.main import run

if __name__ == "__main__":
    run()
