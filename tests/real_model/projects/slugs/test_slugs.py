import unittest

from slugs import slugify, strip_tracking, unique_slug


class SlugifyTest(unittest.TestCase):
    def test_words(self):
        self.assertEqual(slugify("Hello, World!"), "hello-world")

    def test_accents(self):
        self.assertEqual(slugify("Crème brûlée"), "creme-brulee")

    def test_hyphens_stay(self):
        self.assertEqual(slugify("well-known"), "well-known")

    def test_unique(self):
        self.assertEqual(unique_slug("News", {"news", "news-2"}), "news-3")


class StripTrackingTest(unittest.TestCase):
    def test_tracking_goes(self):
        url = "https://example.com/a?utm_source=x&page=2"
        self.assertEqual(strip_tracking(url), "https://example.com/a?page=2")


if __name__ == "__main__":
    unittest.main()
