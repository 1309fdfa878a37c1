"""Common patterns of agent workflows, each a short program of its own.

    OPENAI_API_KEY=... python -m examples.patterns.story

Without a key, run `perdure simulate` in another terminal and export what it prints. The runs are kept in `perdure.db`,
or in the file that `PERDURE_DB` names; after a kill, `perdure resume RUN --app examples.patterns.story:flow` goes on.

Where a pattern needs more than is built, its docstring says what is left out, and what stands in for it today.
"""
