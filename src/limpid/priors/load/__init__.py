"""Folders of converted weights to priors that are ready to run."""
