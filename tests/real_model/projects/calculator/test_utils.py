import unittest

import utils


class UtilsTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(utils.add(2, 3), 5)

    def test_subtract(self):
        self.assertEqual(utils.subtract(2, 3), -1)

    def test_multiply(self):
        self.assertEqual(utils.multiply(4, 3), 12)

    def test_divide(self):
        self.assertEqual(utils.divide(6, 3), 2)

    def test_divide_by_zero(self):
        with self.assertRaises(ValueError):
            utils.divide(1, 0)

    def test_mean(self):
        self.assertEqual(utils.mean([1, 2, 3, 6]), 3)


if __name__ == "__main__":
    unittest.main()
