"""Plumbing of the word embedding example: text in, tables and pictures out."""
