"""An offline, time-budgeted ARC Prize solution: test-time training, augmented greedy decoding, voting."""
