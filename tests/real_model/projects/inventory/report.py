"""Report what is running low: python3 report.py FILE"""

import argparse
import sys

from inventory import load_items, low_stock


def main(argv):
    parser = argparse.ArgumentParser(prog="report", description="Report what is running low.")
    parser.add_argument("file", help="the CSV file with the stock")
    args = parser.parse_args(argv)
    low = low_stock(load_items(args.file))
    if not low:
        print("nothing is running low")
        return 0
    print("low stock:")
    for item in low:
        print(f"- {item.name} ({item.quantity} left)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
