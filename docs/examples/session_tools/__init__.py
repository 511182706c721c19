"""What docs/examples/next_item.py reads, judges and draws."""
