"""What the engine does, measured against what was tried instead of it."""
