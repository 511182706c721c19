"""What docs/examples/write_text.py reads, compares with and draws."""
