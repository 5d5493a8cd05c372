"""Drawing primitives: arrays in, Plotly figure out; and the page that figures stand on."""
