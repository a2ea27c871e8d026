"""Tests; `solution` is imported before torch and transformers are, as it prepares their import."""

import solution  # noqa: F401
