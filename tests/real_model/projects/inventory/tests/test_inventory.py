import os
import tempfile
import unittest
from decimal import Decimal

from inventory import Item, load_items, low_stock, parse_line

CSV = "name,quantity,price\nscrew,1200,0.05\nhinge,2,3.40\n"


class InventoryTest(unittest.TestCase):
    def test_parse_line(self):
        self.assertEqual(parse_line("screw,12,0.05\n"), Item("screw", 12, Decimal("0.05")))

    def test_load_items(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "items.csv")
            with open(path, "w", encoding="utf-8") as file:
                file.write(CSV)
            self.assertEqual([item.name for item in load_items(path)], ["screw", "hinge"])

    def test_low_stock(self):
        items = [Item("screw", 1200, Decimal("0.05")), Item("hinge", 2, Decimal("3.40"))]
        self.assertEqual([item.name for item in low_stock(items)], ["hinge"])


if __name__ == "__main__":
    unittest.main()
