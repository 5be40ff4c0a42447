import unittest

from calc import evaluate


class EvaluateTest(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(evaluate(["2", "+", "3"]), 5.0)

    def test_difference(self):
        self.assertEqual(evaluate(["2", "-", "3"]), -1.0)

    def test_unknown_operator(self):
        with self.assertRaises(ValueError):
            evaluate(["2", "?", "3"])

    def test_too_few_words(self):
        with self.assertRaises(ValueError):
            evaluate(["2", "+"])


if __name__ == "__main__":
    unittest.main()
