"""What stands around every page. Apart from `pages`: a folder of that name beside the first file Streamlit takes for
its own kind, and opens it past everything that stands here."""
