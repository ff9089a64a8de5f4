"""Weight files: where they come from, reading them safely, and the names of their tensors."""
