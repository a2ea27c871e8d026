"""`Preset`: every hyperparameter of a run in one frozen, printable value that the journal stores."""

from dataclasses import asdict, dataclass, field, replace

from .decode.settings import DecodeConfig
from .models.settings import LoraShape
from .program.settings import ProgramConfig, WrittenConfig
from .schedule.gain import Gains
from .ttt.settings import DataConfig, JointConfig, TrainConfig


@dataclass(frozen=True)
class Preset:
    """What a run does with a task.

    `base`: how the breadth pass shows a task, one identity view before any training. `first_views`: views decoded right
    after TTT. `more_views`, `rounds`: views added per round, and rounds at most, where the votes disagree.
    `agreement`: the share of views that gave the most frequent grid from which on no further views are decoded.
    `slices`: jobs that a task's training is done in, of as many steps each, the last with the first views; between them its
    device may do something else, or another go on with it. Each stores the optimiser's state: 1 for adapters of a gigabyte.
    `select`: a name of `select.vote.METHODS`. `joint`: train one adapter on all tasks first; None does not.
    `program`: search for programs beside; None does not. `written`: let a language model write programs beside; None does not.
    `ttt`: train and decode at all. `breadth`: on cores that search programs, the share of the device time for which the
    untrained model's answers come first; the rest of them come in their turn, by their gain per second. `gains`: what the
    allocator expects of its jobs.
    """

    name: str = "default"
    lora: LoraShape = field(default_factory=LoraShape)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    base: DecodeConfig = field(default_factory=lambda: DecodeConfig(max_prompt_tokens=1024))
    first_views: int = 8
    more_views: int = 8
    rounds: int = 1
    agreement: float = 0.75
    slices: int = 4
    select: str = "hierarchical"
    joint: JointConfig | None = None
    program: ProgramConfig | None = field(default_factory=ProgramConfig)
    written: WrittenConfig | None = None
    ttt: bool = True
    breadth: float = 0.1
    gains: Gains = field(default_factory=Gains)

    def as_dict(self) -> dict:
        """Nested plain values, as the journal and the report store them."""
        return asdict(self)


DEFAULT = Preset()
PAPER = Preset(
    name="paper",
    lora=LoraShape(rank=128, alpha=16.0, targets=("q_proj", "v_proj", "gate_proj", "up_proj", "down_proj")),
    data=DataConfig(transformations="paper"),
    train=TrainConfig(steps=10**6, epochs=2, batch_size=2, learning_rate=5e-5, clip_norm=0.0, flat_window=0),
    decode=DecodeConfig(demonstrations="leave_one_out", permute_colours=False),
    first_views=16,
    rounds=0,
    slices=1,
    program=None,
)

ARCHITECTS = Preset(
    name="architects",
    lora=LoraShape(rank=32, alpha=16.0, rslora=True, embeddings=True),
    data=DataConfig(keep_zero=False),
    train=TrainConfig(
        steps=64, batch_size=1, learning_rate=1e-4, embedding_learning_rate=1e-5, warmup=0.5, flat_window=0,
    ),
    decode=DecodeConfig(keep_zero=False),
    first_views=16,
    rounds=0,
    slices=1,
    select="product_of_experts",
)  # fmt: skip

ALONE = replace(DEFAULT, program=None)

PRESETS = {
    preset.name: preset
    for preset in (
        DEFAULT,
        PAPER,
        replace(
            PAPER,
            name="paper-8b",
            lora=replace(PAPER.lora, targets=(*PAPER.lora.targets, "lm_head")),
            train=replace(PAPER.train, learning_rate=1e-4),
        ),
        ARCHITECTS,
        replace(ALONE, name="no-ttt", train=replace(DEFAULT.train, steps=0)),
        replace(ALONE, name="no-transformations", data=replace(DEFAULT.data, transformations="none", permutations=0)),
        replace(
            ALONE,
            name="end-to-end",
            data=replace(DEFAULT.data, kind="end_to_end"),
            decode=replace(DEFAULT.decode, demonstrations="none"),
        ),
        replace(ALONE, name="no-demonstration-loss", data=replace(DEFAULT.data, demonstration_loss=False)),
        replace(ALONE, name="shared-adapter", joint=JointConfig(share=0.5, passes=64, per_task=False)),
        replace(DEFAULT, name="joint", joint=JointConfig()),
        replace(DEFAULT, name="joint-prefix", joint=JointConfig(prefix_tokens=4)),
        replace(DEFAULT, name="test", train=replace(DEFAULT.train, steps=2), more_views=2, program=ProgramConfig((500, 2_000))),
    )
}
"""The default; the paper's recipe for 1B and 3B, and for 8B (docs/sources.md, "Details", 5); the ARChitects' (2025, per-task:
rank 32, 64 steps of one sequence, half of them warm-up), decoded greedily and ranked by the scores at inference, where theirs
decodes depth first and scores candidates in all views; the default with one part of the method taken away (docs/sources.md,
"Numbers"), or on top of an adapter trained on all tasks; and one that ends in seconds, to try the machinery. The paper's and
those that take a part away have no program search beside, which would hide what they show; `--solvers ttt,program` adds it."""
