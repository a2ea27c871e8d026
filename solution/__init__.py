"""An offline, time-budgeted ARC Prize solution: test-time training, augmented greedy decoding, voting.

Everything here works without a network; the libraries are told so before any of them is imported.
"""

import logging
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # its advice on CPU kernels: we dequantize once instead
