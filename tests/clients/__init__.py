"""Clients of other projects open converted folders, each with its own documented call."""
