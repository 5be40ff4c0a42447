"""What can be counted in a text."""

import re
from collections import Counter

WORD = re.compile(r"[A-Za-z0-9']+")


def words(text):
    """Return the words of a text, in order."""
    return WORD.findall(text)


def word_count(text):
    return len(words(text))


def character_count(text):
    """Count the characters that are not white space."""
    return sum(1 for character in text if not character.isspace())


def sentence_count(text):
    """Count the sentences: stretches that end with one or more of . ! ?"""
    return len(re.findall(r"[.!?]+(?=\s|$)", text))


def word_frequencies(text):
    """Return a dict from word to the number of times that it occurs."""
    return dict(Counter(words(text)))
