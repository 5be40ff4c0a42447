"""Where the items are kept: a JSON file with a list of {text, done}."""

import json
import os


class Store:
    def __init__(self, path):
        self.path = path
        self.items = self._load()

    def _load(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            return json.load(file)

    def save(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.items, file, indent=2)

    def add(self, text):
        """Add an item and return its number, counted from 1."""
        self.items.append({"text": text, "done": False})
        self.save()
        return len(self.items)

    def done(self, number):
        """Mark the item with this number as done."""
        self.items[number - 1]["done"] = True
        self.save()

    def all(self, only_open=False):
        """Return (number, item) pairs, optionally only those that are not done."""
        pairs = list(enumerate(self.items, start=1))
        return [pair for pair in pairs if not (only_open and pair[1]["done"])]
