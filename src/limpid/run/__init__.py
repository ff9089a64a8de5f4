"""A run over files: journal, executor, resume, sidecar, report."""
