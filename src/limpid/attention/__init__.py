"""Self-attention layers of other people's networks: found, changed for one call, and put back as they were."""
