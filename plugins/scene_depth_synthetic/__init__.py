"""A generator of worlds with exact depth: sample scenes, composited objects and endless training frames."""
