"""What survives a crash: files, locks, interrupts. Used by runs, training and video alike."""
