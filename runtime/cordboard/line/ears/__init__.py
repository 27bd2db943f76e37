"""How the stand-in hears: turn detection, and recognisers behind one interface of a few methods."""
