"""The files of the demo: a small package, a plan, and the scripted model's answers."""

from __future__ import annotations

PROJECT = {
    "calc/__init__.py": "",
    "calc/utils.py": '''\
"""Small sums."""


def add(a: int, b: int) -> int:
    return a + b
''',
    "tests/__init__.py": "",
    "tests/test_utils.py": """\
import unittest

from calc import utils


class TestUtils(unittest.TestCase):
    def test_add(self):
        self.assertEqual(utils.add(2, 3), 5)

    def test_factorial(self):
        if hasattr(utils, "factorial"):
            self.assertEqual(utils.factorial(5), 120)
""",
    ".gitignore": "__pycache__/\n.venv/\n",
    "README.md": "# calc\n",
}

PLAN = """\
# yaml-language-server: $schema=../../schemas/plan.v1.json
version: 1
id: add-factorial
goal: Add a factorial function to calc/utils.py
budget: {usd: "0.50"}
steps:
  - id: read-utils
    step_type: read_file
    description: See what utils.py holds today
    input: {path: calc/utils.py}
  - id: check-idea
    step_type: analyze
    description: Ask whether a loop or recursion fits better
    input: {instruction: "Loop or recursion for factorial in this file?", context: [read-utils]}
  - id: write-factorial
    step_type: edit_file
    description: Add factorial() as a loop
    input:
      path: calc/utils.py
      edits:
        - search: |
            def add(a: int, b: int) -> int:
                return a + b
          replace: |
            def add(a: int, b: int) -> int:
                return a + b


            def factorial(n: int) -> int:
                result = 1
                for factor in range(2, n + 1):
                    result *= factor
                return result
  - id: test
    step_type: run_command
    description: Run the tests in the project's own virtual environment
    input: {command: python -m unittest -q, timeout_s: 120}
  - id: sum-up
    step_type: summarize
    description: Say what was done
    input: {instruction: Summarize the run for the team}
"""

MODEL_SCRIPT = """\
version: 1
answers:
  - match: Loop or recursion
    answer: A loop. Recursion would hit the interpreter's limit for large n.
    tokens: {input: 212, output: 17}
    cost_usd: "0.000121"
  - match: Summarize the run
    answer: factorial() was added to calc/utils.py as a loop, and the tests pass.
    tokens: {input: 388, output: 19}
    cost_usd: "0.000189"
"""
