"""A function that leaves a line for each of its calls."""

import os
from pathlib import Path


def write(number: int) -> int:
    with Path(os.environ["SHOP_CALLS"]).open("a") as file:
        file.write(f"{number}\n")
    return number
