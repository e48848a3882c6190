"""Which examples make up which step: a function of the seed and the step's number, so that a run that was
stopped, or that runs on other processes, sees the same.

Examples come epoch by epoch, each epoch in an order of its own; with a mixture each task has epochs of its
own and tasks take turns by their shares. `bucket` steps at a time are sorted by length, cut into steps, and
the steps shuffled: a step's examples are of like length, and little is padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from llark.errors import UserMustAct

_GOLDEN = 0.6180339887498949
"""Its multiples' fractions are spread evenly, wherever one begins and ends."""


class Order:
    """`lengths` and `tasks` run along the examples. `order(step)` are the step's examples, longest first,
    each as its number and how often it came before: its epoch.

    `shuffle`: (number of the task, epoch, how many examples) → their order in the epoch.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        tasks: Sequence[str],
        *,
        batch: int,
        bucket: int,
        mixture: Sequence[tuple[str, float]] = (),
        seed: int = 0,
        shuffle: Callable[[int, int, int], Sequence[int]] | None = None,
    ) -> None:
        if not len(lengths):
            raise UserMustAct("There is no example to train on; see the reasons in dropped.jsonl.")
        self.lengths, self.batch, self.bucket, self.seed = lengths, batch, bucket, seed
        self.shuffle = shuffle or self._shuffle
        names = np.asarray(tasks)
        self.shares = np.array([share for _, share in mixture] or [1.0])
        self.pools = [np.flatnonzero(names == name) for name, _ in mixture] or [np.arange(len(lengths))]
        for (name, _), pool in zip(mixture, self.pools, strict=False):
            if not len(pool):
                raise UserMustAct(
                    f"train.mixture names the task {name}, of which there is no example; "
                    f"there are: {', '.join(sorted(set(tasks)))}."
                )
        self._counted = (0, np.zeros(len(self.pools), np.int64))
        self._epochs: dict[int, tuple[int, np.ndarray]] = {}
        self._block: tuple[int, list[np.ndarray]] = (-1, [])

    def __call__(self, step: int) -> list[tuple[int, int]]:
        block, within = divmod(step, self.bucket)
        if self._block[0] != block:
            self._block = (block, self._steps(block))
        return [(int(number), int(epoch)) for number, epoch in self._block[1][within]]

    def _steps(self, block: int) -> list[np.ndarray]:
        """The steps of a block, each [batch, 2]: numbers and epochs."""
        size = self.batch * self.bucket
        chosen = self._examples(block * size, (block + 1) * size)
        by_length = chosen[np.argsort(-self.lengths[chosen[:, 0]], kind="stable")]
        steps = np.split(by_length, self.bucket)
        order = np.random.default_rng([self.seed, 1, block]).permutation(self.bucket)
        return [steps[i] for i in order]

    def _examples(self, begin: int, end: int) -> np.ndarray:
        """The examples at these places of the endless row of all, [places, 2]: numbers and epochs."""
        task = self._tasks(begin, end)
        before = self._count(begin)
        chosen = np.empty((end - begin, 2), np.int64)
        for number in range(len(self.pools)):
            mine = np.flatnonzero(task == number)
            chosen[mine] = self._draw(number, before[number], len(mine))
        return chosen

    def _tasks(self, begin: int, end: int) -> np.ndarray:
        place = np.arange(begin, end, dtype=np.float64)
        edges = np.cumsum(self.shares)[:-1]
        return np.searchsorted(edges, (place + 0.5) * _GOLDEN % 1.0, side="right")

    def _count(self, end: int) -> np.ndarray:
        """How many places before this one each task has; goes on from the last answer where it can."""
        begin, counts = self._counted if self._counted[0] <= end else (0, np.zeros_like(self._counted[1]))
        counts = counts + np.bincount(self._tasks(begin, end), minlength=len(self.pools))
        self._counted = (end, counts)
        return counts

    def _draw(self, task: int, first: int, count: int) -> np.ndarray:
        """The task's examples from its `first` on, epoch after epoch, [count, 2]."""
        pool = self.pools[task]
        drawn: list[np.ndarray] = []
        while count > 0:
            epoch, within = divmod(int(first), len(pool))
            taken = pool[self._epoch(task, epoch, len(pool))[within : within + count]]
            drawn.append(np.stack([taken, np.full(len(taken), epoch)], axis=1))
            first, count = first + len(taken), count - len(taken)
        return np.concatenate(drawn) if drawn else np.empty((0, 2), np.int64)

    def _epoch(self, task: int, epoch: int, size: int) -> np.ndarray:
        if task not in self._epochs or self._epochs[task][0] != epoch:
            self._epochs[task] = (epoch, np.asarray(self.shuffle(task, epoch, size)))
        return self._epochs[task][1]

    def _shuffle(self, task: int, epoch: int, size: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 2, task, epoch]).permutation(size)
