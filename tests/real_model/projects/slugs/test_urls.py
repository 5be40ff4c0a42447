import unittest

from urls import add_query, domain, join


class UrlsTest(unittest.TestCase):
    def test_join(self):
        self.assertEqual(join("https://example.com/", "/a/", "b"), "https://example.com/a/b")

    def test_domain(self):
        self.assertEqual(domain("https://Example.com:8080/a"), "example.com")

    def test_add_query(self):
        self.assertEqual(add_query("https://example.com/?a=1", b="2"), "https://example.com/?a=1&b=2")


if __name__ == "__main__":
    unittest.main()
