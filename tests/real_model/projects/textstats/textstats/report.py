"""A report on a text: python3 -m textstats.report FILE"""

import sys

from textstats.counts import character_count, sentence_count, word_count


def report(text):
    """Return the report as text, one figure a line."""
    lines = [
        f"Words: {word_count(text)}",
        f"Sentences: {sentence_count(text)}",
        f"Characters: {character_count(text)}",
    ]
    return "\n".join(lines)


def main(argv):
    if len(argv) != 1:
        print("usage: python3 -m textstats.report FILE", file=sys.stderr)
        return 2
    with open(argv[0], encoding="utf-8") as file:
        print(report(file.read()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
