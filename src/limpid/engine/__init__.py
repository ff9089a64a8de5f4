"""Plan, journal, memory and executor: what turns one long video into many small durable pieces."""
