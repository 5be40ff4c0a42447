import contextlib
import io
import os
import tempfile
import unittest

from todo import main


class TodoTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "items.json")

    def tearDown(self):
        self.folder.cleanup()

    def run_todo(self, *args):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = main(["--file", self.path, *args])
        return code, out.getvalue()

    def test_add_and_list(self):
        self.assertEqual(self.run_todo("add", "buy milk"), (0, "1\n"))
        self.assertEqual(self.run_todo("list"), (0, "1 [ ] buy milk\n"))

    def test_done(self):
        self.run_todo("add", "buy milk")
        self.run_todo("done", "1")
        self.assertEqual(self.run_todo("list"), (0, "1 [x] buy milk\n"))


if __name__ == "__main__":
    unittest.main()
