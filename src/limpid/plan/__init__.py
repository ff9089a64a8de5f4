"""What is done in which pieces, on which device and with how much memory, before anything is done."""
