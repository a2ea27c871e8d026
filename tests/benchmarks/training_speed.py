"""Our own training loop against trl's `SFTTrainer` on the same small Llama and the same batches, as a ratio in one run.

    python -m tests.benchmarks.training_speed --steps 6 --repeats 5

Both train the preset `s` from random weights: ours with Muon and one worker a core, trl's with AdamW, each as its own
command sets it up on this machine. Batches are made beforehand; both read the same ones, interleaved; the median of the
ratios of tokens a second is printed.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoTokenizer, PrinterCallback
from transformers.utils.logging import disable_progress_bar
from trl import SFTConfig

from solution.codec.arc16 import Arc16
from solution.codec.tokenizer import write_tokenizer
from solution.driver.devices import cores
from solution.finetune.batches import BatchStream
from solution.finetune.mixture import Recipe
from solution.finetune.presets import PRESETS
from solution.finetune.sft import IGNORED, Meter, trainer_class
from solution.finetune.train import Trainer
from solution.models.load import read_llama
from solution.models.precision import compute_dtype


def ours(trainer, batches):
    """Seconds of a step on each batch by the lean loop."""
    begin = time.perf_counter()
    for batch in batches:
        trainer.step([batch], 1.0)
    return time.perf_counter() - begin


def theirs(model, folder, batches):
    """Seconds of `SFTTrainer.train` on the same batches; what it spends on setting itself up is left out."""

    def collate(rows):
        batch = batches[rows[0]["number"]]
        return {
            "input_ids": batch.ids, "labels": torch.where(batch.supervised, batch.ids, IGNORED),
            "position_ids": batch.positions, "attention_mask": torch.ones_like(batch.ids),
        }  # fmt: skip

    arguments = SFTConfig(
        output_dir=folder, max_steps=len(batches), per_device_train_batch_size=1, use_cpu=True, max_length=None,
        bf16=compute_dtype(torch.device("cpu")) == torch.bfloat16,
        save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no", remove_unused_columns=False,
        train_sampling_strategy="sequential", dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip
    trainer = trainer_class()(
        model=model, args=arguments, data_collator=collate, train_dataset=Dataset.from_dict({"number": np.arange(len(batches))}),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.meter = Meter(trainer, 1.0)
    begin = time.perf_counter()
    trainer.train()
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(PRESETS["s"], out=folder)
        trainer = Trainer(settings)
        trainer.save(trainer_folder := Path(folder) / "start")
        write_tokenizer(trainer_folder)
        model = read_llama(trainer_folder, torch.float32, settings.positions).train()
        recipe = Recipe(real=1.0, generators=0.0, composer=0.0, transformed=0.0)
        codec = Arc16(settings.positions)
        stream = iter(BatchStream(recipe.build, codec, settings.batch_tokens, settings.max_len, 0, rows_multiple=cores()))
        ratios = []
        for _ in range(options.repeats):
            batches = [next(stream) for _ in range(options.steps)]
            tokens = sum(batch.num_tokens for batch in batches)
            torch.set_num_threads(1)  # the lean loop's workers are its parallelism
            one = ours(trainer, batches)
            torch.set_num_threads(cores())
            two = theirs(model, str(trainer_folder), batches)
            ratios.append(two / one)
            print(f"ours {tokens / one:.0f} tokens/s, SFTTrainer {tokens / two:.0f}, ratio {two / one:.2f}", flush=True)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"SFTTrainer takes {middle:.2f} times as long (quartiles {low:.2f} to {high:.2f}), {len(ratios)} pairs")


if __name__ == "__main__":
    main()
