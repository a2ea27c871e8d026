"""The campaign: faults x places, generated, each with what must hold. `python -m tests.faults` runs it and prints its table.

What must hold of a run, whatever happens to it (`judge`): the submission is valid at every moment, no answer is lost, it ends in
time and with the right exit code, and one line says what happened. Runs of whole processes are forked from one that has imported
everything (`warm`); their jobs are answered at once by a stand-in (`stand_in`), all else is the driver as it is.
"""
