"""What stages teach, an objective per file."""
