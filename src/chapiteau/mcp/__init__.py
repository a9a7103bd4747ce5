"""Model Context Protocol: what agents may see of a project, and ask for (docs/how-to/agents.md)."""
