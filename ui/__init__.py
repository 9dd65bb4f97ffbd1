"""The console: Streamlit pages that speak to the HTTP API and to nothing else."""
