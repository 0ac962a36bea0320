"""Training of groot-mini, the small language-conditioned flow-matching policy of the embedded simulator."""
