"""Task images and external images on a Docker engine: content hashes, builds, pulls, facts."""
