// Contracts: see docs/decisions/0001-targets.md
