"""Greedy decoding as plainly as it can be written: one prompt, no cache, the Hugging Face model itself.

The reference that `greedy` is tested against; far too slow to run a competition with.
"""

import torch

from ..codec.prompt import Prompt
from ..models.adapted import AdaptedModel
from .greedy import Generation


@torch.no_grad()
def greedy_one(model: AdaptedModel, prompt: Prompt, max_new_tokens: int) -> Generation:
    """Continue one prompt with the likeliest token until END or `max_new_tokens`, reading everything anew for each token."""
    ids, positions = torch.from_numpy(prompt.ids)[None], torch.from_numpy(prompt.positions)[None]
    log_prob, written = 0.0, []
    while len(written) < max_new_tokens:
        last = torch.arange(ids.shape[1])[None] == ids.shape[1] - 1
        logits = model.plain_logits(ids.to(model.device), positions.to(model.device), last.to(model.device))
        best, token = torch.log_softmax(logits, -1).max(-1)
        log_prob += float(best)
        written.append(int(token))
        if written[-1] == model.codec.end_id:
            break
        next_position = model.codec.next_positions(ids[:, -1], positions[:, -1])
        ids = torch.cat([ids, token.cpu()[:, None]], 1)
        positions = torch.cat([positions, next_position[:, None]], 1)
    return Generation(torch.tensor(written).numpy(), log_prob, model.codec.decode(written))
