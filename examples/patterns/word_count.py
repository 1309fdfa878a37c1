"""Map and reduce, twice in a row: words are counted in parallel, grouped, and summed in parallel.

    python -m examples.patterns.word_count

What lies between the steps is checkpointed by the run; no files of one's own are needed. The graph is drawn before it
runs, as a Mermaid flowchart.
"""

from collections import Counter, defaultdict

from perdure import Workflow, node, run_sync

MAPPERS = 3
REDUCERS = 4
TEXT = "the quick brown fox jumps over the lazy dog and the dog sleeps on while the fox runs on"


@node
def split(text: str) -> list[list[str]]:
    words = text.split()
    return [words[i::MAPPERS] for i in range(MAPPERS)]


@node
def count(words: list[str]) -> dict[str, int]:
    return dict(Counter(words))


@node
def shuffle(counts: list[dict[str, int]]) -> list[dict[str, list[int]]]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for part in counts:
        for word, number in part.items():
            groups[word].append(number)
    words = sorted(groups)
    return [{word: groups[word] for word in words[i::REDUCERS]} for i in range(REDUCERS)]


@node
def reduce(groups: dict[str, list[int]]) -> dict[str, int]:
    return {word: sum(numbers) for word, numbers in groups.items()}


@node
def total(parts: list[dict[str, int]]) -> dict[str, int]:
    return {word: number for part in parts for word, number in part.items()}


flow = Workflow("word_count", start=split, end=total)
flow.map(split, count)
flow.collect(count, shuffle)
flow.map(shuffle, reduce)
flow.collect(reduce, total)

if __name__ == "__main__":
    print(flow.mermaid())
    print(run_sync(flow, TEXT))
