"""What can be told at the edge: names, ports, certificates, pages, samples."""
