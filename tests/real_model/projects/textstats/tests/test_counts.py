import unittest

from textstats import counts

TEXT = "The cat sat. The dog ran!"


class CountsTest(unittest.TestCase):
    def test_words(self):
        self.assertEqual(counts.words("it's 9 o'clock"), ["it's", "9", "o'clock"])

    def test_word_count(self):
        self.assertEqual(counts.word_count(TEXT), 6)

    def test_character_count(self):
        self.assertEqual(counts.character_count("a b\nc"), 3)

    def test_word_frequencies(self):
        self.assertEqual(counts.word_frequencies("a b a"), {"a": 2, "b": 1})


if __name__ == "__main__":
    unittest.main()
