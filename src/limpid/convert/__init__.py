"""The makers' files to ours, by explicit rename tables; random weights in their formats."""
