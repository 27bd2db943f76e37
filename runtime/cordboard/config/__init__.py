"""The edge's configuration: `load` reads it, `model` says what it holds, `numbers` matches numbers against it."""
