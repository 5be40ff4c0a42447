"""Run so many nodes that do nothing with LangGraph, each checkpointed in SQLite; prints seconds."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    done: int


def step(state: State) -> State:
    return {"done": state["done"] + 1}


def main(steps: int, folder: Path) -> float:
    """Go round one node: a graph of so many nodes would be slower."""
    connection = sqlite3.connect(folder / "langgraph.sqlite", check_same_thread=False)
    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: END if state["done"] >= steps else "step")
    compiled = graph.compile(checkpointer=SqliteSaver(connection))
    config = {"configurable": {"thread_id": "1"}, "recursion_limit": steps + 10}
    start = time.perf_counter()
    compiled.invoke({"done": 0}, config, durability="sync")
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.stdout.write(f"seconds {main(int(sys.argv[1]), Path(sys.argv[2]))}\n")
