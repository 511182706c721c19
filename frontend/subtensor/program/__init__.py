"""Programs, the contract with backends that run them, and the path of a call."""
