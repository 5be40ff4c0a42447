"""Items in stock, read from a CSV file."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass
class Item:
    name: str
    quantity: int
    price: Decimal


def parse_line(line):
    """Make an item of a line such as `screw,1200,0.05`."""
    name, quantity, price = line.strip().split(",")
    return Item(name=name, quantity=int(quantity), price=Decimal(price))


def load_items(path):
    """Read all items of a CSV file; its first line is a header."""
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()[1:]
    return [parse_line(line) for line in lines]


def low_stock(items):
    """Return the items of which fewer than 5 are left."""
    return [item for item in items if item.quantity < 5]
