"""Measurements that stand in the documentation, each made by one command."""
