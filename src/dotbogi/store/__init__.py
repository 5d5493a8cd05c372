"""Where runs lie: a database over run folders, checkpoints, snapshots and locks."""
