"""A Kaggle notebook session on this machine: its folders, its image, no network. `python -m tests.kaggle_box --help`"""
