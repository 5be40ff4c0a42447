"""A to-do list for the command line."""

import argparse
import sys

from store import Store

VERSION = "1.2.0"


def build_parser():
    parser = argparse.ArgumentParser(prog="todo", description="Keep a to-do list.")
    parser.add_argument("--file", default="todo.json", help="where the items are kept")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="add an item")
    add.add_argument("text")
    show = commands.add_parser("list", help="list the items")
    show.add_argument("--open", action="store_true", help="leave out items that are done")
    done = commands.add_parser("done", help="mark an item as done")
    done.add_argument("number", type=int)
    return parser


def main(argv):
    args = build_parser().parse_args(argv)
    store = Store(args.file)
    if args.command == "add":
        print(store.add(args.text))
    elif args.command == "list":
        for number, item in store.all(only_open=args.open):
            mark = "x" if item["done"] else " "
            print(f"{number} [{mark}] {item['text']}")
    elif args.command == "done":
        store.done(args.number)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
