"""The supervisor's command line: one module for each thing that people do."""
