"""`python -m workers [--name NAME]`: one worker, until SIGTERM or SIGINT. `tiketi worker` becomes this."""

from __future__ import annotations

import argparse
import os

from config.logging import logged
from config.settings import load
from workers.main import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="workers")
    parser.add_argument("--name", default="worker", help="its name in the log")
    settings = load(os.environ)
    name = parser.parse_args().name
    with logged(settings, name):
        run(settings, name)


main()
