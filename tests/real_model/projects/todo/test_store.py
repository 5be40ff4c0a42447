import os
import tempfile
import unittest

from store import Store


class StoreTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "items.json")

    def tearDown(self):
        self.folder.cleanup()

    def test_starts_empty(self):
        self.assertEqual(Store(self.path).all(), [])

    def test_add_gives_the_number(self):
        store = Store(self.path)
        self.assertEqual(store.add("one"), 1)
        self.assertEqual(store.add("two"), 2)

    def test_items_are_kept(self):
        Store(self.path).add("one")
        self.assertEqual(Store(self.path).items, [{"text": "one", "done": False}])

    def test_only_open(self):
        store = Store(self.path)
        store.add("one")
        store.add("two")
        store.done(1)
        self.assertEqual([number for number, _ in store.all(only_open=True)], [2])


if __name__ == "__main__":
    unittest.main()
