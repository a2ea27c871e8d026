"""An offline, time-budgeted ARC Prize solution: test-time training, augmented greedy decoding, voting.

Everything here works without a network; the libraries are told so before any of them is imported. torchvision and torchao,
which unsloth's requirements bring along, are hidden from them: nothing here needs either, and a build of one that does not
fit the installed torch breaks the import of transformers and peft.
"""

import logging
import os
import sys

from .cuda_allocator import set_up_allocator

set_up_allocator()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # its advice on CPU kernels: we dequantize once instead
for unneeded in ("torchvision", "torchao"):
    sys.modules.setdefault(unneeded, None)
