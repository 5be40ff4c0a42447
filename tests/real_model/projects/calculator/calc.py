"""A calculator: python3 calc.py 2 + 3"""

import sys

from utils import add, divide, multiply, subtract

OPERATORS = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
}


def evaluate(words):
    """Evaluate a list such as ["2", "+", "3"]."""
    if len(words) != 3:
        raise ValueError("expected: number operator number")
    left, operator, right = words
    if operator not in OPERATORS:
        raise ValueError(f"unknown operator {operator!r}")
    return OPERATORS[operator](float(left), float(right))


def main(argv):
    try:
        print(evaluate(argv))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
