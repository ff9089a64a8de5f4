"""What other programs hold on to: networks that stay loaded over many films and pictures, in Python's own kinds."""
