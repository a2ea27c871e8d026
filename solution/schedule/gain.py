"""The gain model: the chance that a job turns into a solved task.

In:  a task's size and what the journal shows of it. Out: chances. Pure; its numbers are stored with the presets.
Nothing here was fitted on public evaluation tasks, which are scored. Public training tasks say how often program search solves a
task, by its size, and one figure how often test-time training does. What was not measured is a guess, and says so.
Not here: what a job costs (`cost`), which job is taken (`allocate`).
"""

from dataclasses import dataclass

from .job import Shown, TaskSize


@dataclass(frozen=True)
class Gains:
    """Chances of a task of 1,000 prompt tokens a test input, from 0 to 1, and how they change.

    `cheap`: that the untrained model's one view is right: a guess, low, for few answers are before training. `trained`: that the
    model is after test-time training: the embedded weights solved 23 of 60 public training tasks, of at most 600 tokens and about
    350 on average. `programs`: that a round of program search is, where none before it explained the task, the last one's of all
    rounds after it: the first is measured (2,000 tries solved 42 of every sixth public training task, 67; the vocabulary was
    written for such tasks, so on others it is less), the others are guesses. `slope`: of the log odds of the latter two, by the
    logarithm of the tokens: 20,000 tries on all 400 public training tasks. `views`: of a round of further views whose votes did
    not agree at all, relative to the training; `explained`: what training adds to a task that a program explains, relative to
    what it adds to another: guesses.
    """

    cheap: float = 0.003
    trained: float = 0.2
    programs: tuple[float, ...] = (0.56, 0.06, 0.04)
    slope: float = -0.87
    views: float = 0.1
    explained: float = 0.1

    def at(self, chance: float, size: TaskSize) -> float:
        """A chance of a task of 1,000 tokens, for a task of this size."""
        odds = chance / (1 - chance) * (size.prompt_tokens / size.num_tests / 1000) ** self.slope
        return odds / (1 + odds)

    def right(self, size: TaskSize, shown: Shown) -> float:
        """That the task's answers are right as they stand."""
        neural = self.at(self.trained, size) if shown.views else self.cheap if shown.answered else 0.0
        return 1 - (1 - neural) * (1 - (shown.confidence or 0.0))

    def training(self, size: TaskSize, shown: Shown) -> float:
        """That training, or the rest of it, solves a task that was not solved before."""
        return self.at(self.trained, size) * (self.explained if shown.explained else 1.0)

    def further_views(self, size: TaskSize, shown: Shown) -> float:
        """That a round of further views solves a task that was not solved before."""
        return self.views * self.at(self.trained, size) * (1 - (shown.agreement or 0.0))

    def program(self, size: TaskSize, shown: Shown) -> float:
        """That the next round of program search solves a task, or programs that are written once all rounds are done."""
        return self.at(self.programs[min(shown.searched, len(self.programs) - 1)], size)
