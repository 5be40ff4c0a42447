import unittest

from textstats.report import report


class ReportTest(unittest.TestCase):
    def test_report_has_the_figures(self):
        lines = report("One two. Three!").splitlines()
        self.assertIn("Words: 3", lines)
        self.assertIn("Sentences: 2", lines)
        self.assertIn("Characters: 13", lines)


if __name__ == "__main__":
    unittest.main()
