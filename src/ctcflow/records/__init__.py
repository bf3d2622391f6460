"""What steps tell each other and the page in `uns`: one module of records per step.

They are JSON in the files and typed dictionaries in the code: mypy knows each field, and a file of
an older version, in which one is missing, is still read.
"""
