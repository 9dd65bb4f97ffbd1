"""The gate: answers mail systems before each mail, out of allowance leased from the ledger."""
